"""A live version exits, whatever else happens just then: in the end a version is live again."""

from __future__ import annotations

from hanoverd.deploy.events import CancelRequested
from hanoverd.deploy.state import Role
from tests.fakes.world import Daemon, until
from tests.unit.deploy.scenario import LONG, ScenarioCase, role


class FirewallTests(ScenarioCase):
    async def test_it_is_live_again_where_the_rules_could_not_be_read_meanwhile(self) -> None:
        await self.dies_while_failing("iptables-save")

    async def test_it_is_live_again_where_the_rules_could_not_be_changed_meanwhile(self) -> None:
        await self.dies_while_failing("iptables-restore")

    async def dies_while_failing(self, program: str) -> None:
        daemon = await self.started(restart="always")
        self.world.firewall.fail(program)
        self.world.kill("app-0")
        await until(lambda: self.world.has_logged("routes_failed"))
        await until(lambda: daemon.outcomes()[-1][1] == "failed")
        self.world.firewall.fail(program, fails=False)
        await until(lambda: daemon.live_name and self.world.routed_versions == [daemon.live_name])
        await self.alone(str(daemon.live_name))


class SlowRestartTests(ScenarioCase):
    async def test_a_build_that_fails_does_not_end_the_restart(self) -> None:
        daemon = await self.restarting()
        self.world.break_app()
        daemon.trigger("a broken commit")
        await until(lambda: ("a broken commit", "failed") in daemon.outcomes())
        self.becomes_ready("app-1")
        await daemon.live("app-1")

    async def test_a_cancel_does_not_end_the_restart_for_good(self) -> None:
        daemon = await self.restarting()
        daemon.orchestrator.send(CancelRequested("as a person asked"))
        await until(lambda: daemon.live_name)
        self.assertIn("cancelled", [outcome for _, outcome in daemon.outcomes()])

    async def test_it_does_not_wait_for_a_build(self) -> None:
        daemon = await self.started(restart="always")
        self.build_without_end()
        daemon.trigger("a long build")
        await until(lambda: daemon.orchestrator.state.deploy)
        self.world.kill("app-0")
        await daemon.live("app-2")
        self.assertIsNotNone(daemon.orchestrator.state.deploy)

    async def test_it_does_not_wait_for_a_candidate_that_is_not_ready(self) -> None:
        daemon = await self.started(restart="always", status_timeout=LONG)
        self.never_ready("app-1")
        daemon.trigger("a slow version")
        await until(lambda: "app-1" in self.world.engine.running())
        self.world.kill("app-0")
        await daemon.live("app-2")
        self.becomes_ready("app-1")
        await daemon.live("app-1")
        await self.alone("app-1")

    async def restarting(self) -> Daemon:
        """A daemon whose live version has exited, and whose restart is slow to become ready."""
        daemon = await self.started(restart="always", status_timeout=LONG)
        self.never_ready("app-1")
        self.world.kill("app-0")
        await until(lambda: "app-1" in self.world.engine.running())
        return daemon


class ImageTests(ScenarioCase):
    async def test_an_image_that_is_gone_is_obtained_again(self) -> None:
        daemon = await self.started(restart="always")
        self.world.engine.images.clear()
        self.world.kill("app-0")
        await daemon.live("app-1")
        self.assertTrue(self.world.has_logged("image_missing"))


class DrainingTests(ScenarioCase):
    async def test_a_version_that_returned_is_retired_when_the_next_one_is_live(self) -> None:
        self.world.keep_busy()
        daemon = await self.started(restart="always", drain=LONG, status_timeout=LONG)
        await self.replace(daemon, "app-1")
        self.never_ready("app-2")
        self.world.write_app(BUILD="c")
        daemon.trigger("third")
        await until(lambda: "app-2" in self.world.engine.running())
        # The restart of app-1 does not come between.
        self.never_ready("app-3")
        self.world.kill("app-1")
        await daemon.live("app-0")
        self.becomes_ready("app-2")
        await daemon.live("app-2")
        self.assertEqual(role(daemon, 0), Role.DRAINING)
        self.world.conntrack("exit 0")
        await self.alone("app-2")
        await daemon.stop()
        self.assert_nothing_left()

    async def test_when_the_returned_version_exits_the_one_before_it_returns(self) -> None:
        self.world.keep_busy()
        daemon = await self.started(drain=LONG)
        await self.replace(daemon, "app-1")
        await self.replace(daemon, "app-2")
        self.world.kill("app-2")
        await daemon.live("app-1")
        self.world.kill("app-1")
        await daemon.live("app-0")
        await self.alone("app-0")


class ReadyHookTests(ScenarioCase):
    async def test_a_version_that_exits_while_the_ready_hook_runs_never_goes_live(self) -> None:
        flag = self.world.folder / "go-on"
        waits = f"[ $HANOVERD_NEW = app-0 ] || until [ -e {flag} ]; do sleep 0.02; done"
        daemon = await self.started(hooks=[("ready", waits)])
        self.world.write_app(BUILD="b")
        daemon.trigger("second")
        await until(lambda: self.world.has_logged("ready", version="app-1"))
        self.world.kill("app-1")
        await until(lambda: daemon.orchestrator.state.versions[1].has_exited)
        flag.touch()
        await daemon.at_rest()
        self.assertEqual(daemon.outcomes()[-1], ("second", "failed"))
        self.assertFalse(self.world.has_logged("live", version="app-1"))
        await self.alone("app-0")


class UnansweredTests(ScenarioCase):
    async def test_the_connections_that_it_never_answered_are_deleted(self) -> None:
        calls = self.world.folder / "calls"
        self.world.conntrack(f'echo "$@" >>{calls}')
        daemon = await self.started(restart="always")
        address = self.world.engine.containers["app-0"].address
        self.world.kill("app-0")
        await daemon.live("app-1")
        await until(lambda: f"-D -p tcp --reply-src {address} --state SYN_SENT" in calls.read_text().splitlines())
