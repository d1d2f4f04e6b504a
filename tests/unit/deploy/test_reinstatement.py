"""A version returns: after one that did not settle, and when a person rolls back."""

from __future__ import annotations

from hanoverd.deploy.state import Role
from hanoverd.deploy.targets import Rollback
from tests.fakes.world import Daemon, until
from tests.lab.events import contains
from tests.unit.deploy.scenario import LONG, ScenarioCase, complain, role


class SettleTests(ScenarioCase):
    async def test_a_rollback_goes_to_the_version_before_the_one_that_returned(self) -> None:
        daemon = await self.three_versions(settle=LONG)
        await self.rolls_back_to_the_first(daemon)

    async def test_also_where_that_one_is_stopped_by_then(self) -> None:
        # Long enough for a slow machine.
        daemon = await self.three_versions(settle=2.0)
        await until(lambda: role(daemon, 0) is Role.KEPT)
        await self.rolls_back_to_the_first(daemon)

    async def three_versions(self, settle: float) -> Daemon:
        """A, B, and C, which failed before it had settled: B is live again."""
        self.world.write_app(BUILD="A")
        daemon = await self.started(restart="always", kept=2, settle=settle)
        await self.replace(daemon, "app-1", BUILD="B")
        await self.replace(daemon, "app-2", BUILD="C")
        complain(daemon, 2)
        await daemon.live("app-1")
        return daemon

    async def rolls_back_to_the_first(self, daemon: Daemon) -> None:
        daemon.orchestrator.request("hanoverd rollback", Rollback())
        await daemon.live("app-3")
        self.assertEqual(self.world.engine.containers["app-3"].env["BUILD"], "A")


class LivenessTests(ScenarioCase):
    async def test_it_is_checked_while_a_build_goes_on(self) -> None:
        daemon = await self.started(restart="always", watch=0.05)
        self.build_without_end()
        daemon.trigger("a long build")
        await until(lambda: daemon.orchestrator.state.deploy)
        self.falls_ill("app-0")
        await daemon.live("app-2")
        self.assertIsNotNone(daemon.orchestrator.state.deploy)


class ObtainTests(ScenarioCase):
    async def test_a_build_that_takes_too_long_fails(self) -> None:
        daemon = await self.started(obtain_timeout=0.5)
        self.build_without_end()
        daemon.trigger("a long build")
        await until(lambda: ("a long build", "failed") in daemon.outcomes())
        self.assertTrue(self.world.has_logged("failed", error=contains("500ms")))
        self.assert_alone("app-0")
