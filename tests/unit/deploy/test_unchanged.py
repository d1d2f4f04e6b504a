"""Handovers that would change nothing are skipped, where that was asked for: on a fake engine and a fake firewall."""

from __future__ import annotations

from pathlib import Path

from hanoverd.deploy.targets import Image, Source
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.run.inputs import Inputs
from tests.fakes.world import PORT, Daemon, until
from tests.unit.deploy.scenario import ScenarioCase, role


class UnchangedTests(ScenarioCase):
    """``--if-changed``, of a command and of the daemon."""

    async def outcome(self, daemon: Daemon, *, if_changed: bool = True, image: str | None = None) -> str:
        """Deploy for a person, and return the outcome."""
        target = Source() if image is None else Image(image)
        number = daemon.orchestrator.request("deploy", target, if_changed=if_changed)

        def record() -> str:
            found = daemon.app.history.get(number)
            return found.outcome if found is not None and found.is_over else ""

        await until(record)
        return record()

    async def test_a_deploy_that_changes_nothing_is_skipped_and_the_next_one_is_carried_out(self) -> None:
        daemon = await self.started()
        self.assertEqual(await self.outcome(daemon), "unchanged")
        self.assert_alone("app-0")
        self.assertTrue(self.world.has_logged("unchanged", version="app-0", image="hanoverd/app:latest"))
        last = daemon.app.history.last
        assert last is not None
        self.assertEqual((last.version, last.why), ("app-0", "app-0 has this image and these settings already"))
        self.assertEqual(await self.outcome(daemon, if_changed=False), "live")
        # No number is used twice.
        await self.alone("app-2")

    async def test_a_changed_image_is_deployed(self) -> None:
        daemon = await self.started()
        self.world.write_app(BUILD="2")
        self.assertEqual(await self.outcome(daemon), "live")
        self.assertEqual(await self.outcome(daemon), "unchanged")
        await self.alone("app-1")

    async def test_a_changed_file_of_variables_is_deployed(self) -> None:
        file = Path(self.world.folder, "env")
        file.write_text("WORD=one\n")
        container = ContainerSpec(
            env=("WORD=one",), ports=(ContainerPort(PORT),), inputs=Inputs((str(file),)), settings={"User": "0"}
        )
        daemon = await self.started(container=container)
        self.assertEqual(await self.outcome(daemon), "unchanged")
        file.write_text("WORD=two\n")
        self.assertEqual(await self.outcome(daemon), "live")
        self.assertEqual(await self.outcome(daemon), "unchanged")

    async def test_triggers_are_skipped_as_the_daemon_says(self) -> None:
        daemon = await self.started(if_changed=True)
        daemon.trigger("SIGHUP")
        await until(lambda: ("SIGHUP", "unchanged") in daemon.outcomes())
        # A command is carried out, whatever the daemon says of triggers.
        self.assertEqual(await self.outcome(daemon, if_changed=False), "live")

    async def test_a_start_beside_an_equal_version_changes_nothing(self) -> None:
        daemon = await self.started(keep=True)
        await daemon.stop()
        daemon = self.world.daemon(if_changed=True)
        daemon.start()
        await until(lambda: ("start", "unchanged") in daemon.outcomes())
        self.assert_alone("app-0")

    async def test_a_live_version_that_is_not_ready_is_replaced(self) -> None:
        daemon = await self.started()
        self.falls_ill("app-0")
        self.assertEqual(await self.outcome(daemon), "live")
        self.assertTrue(self.world.has_logged("unchanged_unready", version="app-0"))
        await self.alone("app-1")

    async def test_a_live_version_that_has_exited_is_replaced(self) -> None:
        daemon = await self.started()
        self.world.kill("app-0")
        await until(lambda: role(daemon, 0) is None)
        self.assertEqual(await self.outcome(daemon), "live")
        await self.alone("app-1")
