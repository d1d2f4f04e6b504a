"""Requests for handovers, and what is recorded of them."""

from __future__ import annotations

from hanoverd.deploy.targets import Source
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.clock import sleep
from hanoverd.spec.container import Image
from tests.fakes.world import REACTOR, Daemon, until
from tests.unit.deploy.scenario import ScenarioCase


class OrderTests(ScenarioCase):
    async def test_it_is_recorded_once_where_the_live_version_exits_meanwhile(self) -> None:
        daemon, request = await self.requested()
        self.world.kill("app-0")
        await self.goes_on(daemon, request)

    async def test_it_is_recorded_once_where_a_newer_trigger_comes_meanwhile(self) -> None:
        daemon, request = await self.requested()
        daemon.trigger("newer")
        await self.goes_on(daemon, request)
        self.assertEqual({record.id: record.outcome for record in daemon.app.history}[request], "cancelled")

    async def test_the_time_limit_of_a_command_holds_for_its_handover_only(self) -> None:
        daemon = await self.started(status_timeout=0.6)
        self.world.write_app(STATUS="503")
        request = daemon.orchestrator.request("hanoverd deploy", Source(), ready_timeout=0.2)
        await until(lambda: request in [record.id for record in daemon.app.history if record.is_over])
        record = daemon.app.history.get(request)
        assert record is not None
        self.assertIn("not ready within the status timeout of 200ms", record.why)
        self.assertEqual(daemon.live_name, "app-0")
        daemon.trigger("later")
        await until(lambda: ("later", "failed") in daemon.outcomes())
        last = daemon.app.history.last
        assert last is not None
        self.assertIn("not ready within the status timeout of 600ms", last.why)

    async def requested(self) -> tuple[Daemon, int]:
        """A daemon that obtains for a command and ignores a cancel for a moment."""
        daemon = await self.started(restart="always")
        obtain = daemon.source.obtain
        obtaining: list[str] = []

        async def stubborn(*arguments: object) -> Image:
            image = await obtain(*arguments)  # type: ignore[arg-type]
            if not obtaining:
                obtaining.append("once")
                await shielded(sleep(REACTOR, 0.3))
            return image

        self.patch(daemon.source, "obtain", stubborn)
        self.world.write_app(BUILD="b")
        request = daemon.orchestrator.request("hanoverd deploy", Source())
        await until(lambda: obtaining)
        return daemon, request

    async def goes_on(self, daemon: Daemon, request: int) -> None:
        await until(lambda: request in [record.id for record in daemon.app.history if record.is_over])
        await daemon.at_rest()
        daemon.trigger("one more")
        await until(lambda: ("one more", "live") in daemon.outcomes())
        numbers = [record.id for record in daemon.app.history]
        self.assertEqual(len(numbers), len(set(numbers)))
