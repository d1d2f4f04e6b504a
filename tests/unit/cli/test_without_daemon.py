"""Apps that serve without a running daemon: found, shown and ended, on a fake engine and a fake firewall."""

from __future__ import annotations

import os
from contextlib import closing

from hanoverd.api.status import NO_DAEMON
from hanoverd.cli.client.without_daemon import Host
from hanoverd.network import name_lock
from hanoverd.network.name_lock import lock_name
from hanoverd.runtime.errors import ControlError, EngineUnreachable
from tests.fakes.world import APP, until
from tests.unit.deploy.scenario import ScenarioCase


class WithoutDaemonTests(ScenarioCase):
    """An app that a daemon left serving."""

    def setUp(self) -> None:
        super().setUp()
        # All tests of this machine share the abstract names.
        self.patch(name_lock, "_name", lambda app: f"hanoverd/test/{os.getpid()}/{app}")

    def host(self) -> Host:
        """Return this host, as a command sees it."""
        return Host(
            {
                **self.world.firewall.environ,
                "DOCKER_HOST": f"unix://{self.world.engine.socket}",
                "HANOVERD_RUNTIME_DIR": str(self.world.folder / "own"),
            }
        )

    async def left_with_a_kept_version(self) -> None:
        """Leave ``app-1`` serving, and ``app-0`` kept."""
        daemon = await self.started(keep=True, kept=3)
        await self.replace(daemon, "app-1")
        await until(lambda: sorted(self.world.engine.containers) == ["app-0-kept", "app-1"])
        await daemon.stop()

    async def test_its_rules_and_labels_say_what_it_is(self) -> None:
        await self.left_with_a_kept_version()
        [status] = self.host().serving(())
        self.assertEqual((status.app, status.state, status.pid), (APP, NO_DAEMON, None))
        assert status.live is not None
        self.assertEqual((status.live.version, status.live.image), ("app-1", "hanoverd/app:latest"))
        self.assertEqual(status.live.source, f"build {self.world.app_folder}")
        self.assertEqual([port["host_port"] for port in status.ports], [8080])
        self.assertEqual([one.version for one in status.kept], ["app-0"])
        found = [(one.version, one.state) for one in self.host().versions(APP)]
        self.assertEqual(found, [("app-1", "live"), ("app-0", "kept")])
        self.host().end(APP)

    async def test_one_that_has_a_daemon_is_not_among_them(self) -> None:
        await self.left_running()
        self.assertEqual(self.host().serving([APP]), [])
        with closing(lock_name(APP, self.world.folder / "run", (0,))):
            # Its socket is in another folder.
            self.assertEqual(self.host().serving(()), [])
        self.host().end(APP)

    async def test_one_that_is_stopped_serves_nobody(self) -> None:
        await self.left_running()
        self.world.kill("app-0")
        self.assertEqual(self.host().serving(()), [])
        status = self.host().status(APP)
        assert status is not None
        self.assertIsNone(status.live)
        self.assertEqual([one.state for one in self.host().versions(APP)], ["stopped"])
        self.host().end(APP)

    async def test_it_is_ended_with_all_that_it_has(self) -> None:
        await self.left_with_a_kept_version()
        self.assertEqual(sorted(self.host().end(APP)), ["app-0-kept", "app-1", "its routes"])
        self.assert_nothing_left()
        self.assertEqual(self.host().end(APP), [])
        self.assertIsNone(self.host().status(APP))

    async def test_it_is_not_ended_while_a_daemon_has_its_name(self) -> None:
        await self.left_running()
        with (
            closing(lock_name(APP, self.world.folder / "run", (0,))),
            self.assertRaisesRegex(ControlError, "a hanoverd that serves app runs, but its socket"),
        ):
            self.host().end(APP)
        self.assert_alone("app-0")
        self.host().end(APP)

    async def test_without_the_right_to_read_the_rules_its_ports_are_unknown(self) -> None:
        await self.left_running()
        self.world.firewall.fail("iptables-save")
        host = self.host()
        [status] = host.serving(())
        assert status.live is not None
        self.assertEqual((status.live.version, status.ports), ("app-0", ()))
        self.assertIn("iptables-save failed", host.problem)
        self.world.firewall.fail("iptables-save", fails=False)
        self.host().end(APP)

    async def test_where_no_engine_answers_it_fails(self) -> None:
        with self.assertRaises(EngineUnreachable):
            Host({"DOCKER_HOST": f"unix://{self.world.folder}/nothing"})
