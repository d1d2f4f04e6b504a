"""Without overlap the live version stops first: whatever becomes of the new one, a version serves afterwards."""

from __future__ import annotations

import time
from unittest import mock

from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import sleep
from tests.fakes.engine import HangUp
from tests.fakes.world import REACTOR, until
from tests.unit.deploy.scenario import LONG, ScenarioCase, named, on_request, start


class WayBackTests(ScenarioCase):
    async def test_an_old_version_that_is_slow_once_is_tried_again(self) -> None:
        daemon = await self.started(overlap=False, restart="always", status_timeout=0.5)
        self.never_ready("app-0")
        self.world.write_app(STATUS="503")
        daemon.trigger("a bad version")
        await until(lambda: self.world.has_logged("reinstate_failed", version="app-0"))
        self.becomes_ready("app-0")
        await daemon.live("app-0")
        await self.alone("app-0")

    async def test_a_firewall_that_fails_for_a_while_does_not_end_it(self) -> None:
        daemon = await self.started(overlap=False, restart="always")
        on_request(
            self.world.engine, "POST /containers/app-1/start", lambda: self.world.firewall.fail("iptables-restore")
        )
        self.world.write_app(BUILD="b")
        daemon.trigger("a good version, and no firewall")
        await until(lambda: self.world.has_logged("reinstate_failed", version="app-0"))
        self.world.firewall.fail("iptables-restore", fails=False)
        await daemon.live("app-0")
        await self.alone("app-0")

    async def test_an_engine_that_is_away_for_a_while_does_not_end_it(self) -> None:
        daemon = await self.started(overlap=False, restart="always", status_timeout=0.5)
        gone: list[float] = []

        def away(_number: int, when: str, what: str) -> None:
            if not gone and named(self.world.engine, what) == "POST /containers/app-1/start":
                gone.append(time.monotonic())
            if gone and time.monotonic() < gone[0] + 1:
                raise HangUp

        self.world.engine.on_request = away
        self.world.write_app(STATUS="503")
        daemon.trigger("a bad version, and no engine")
        await until(lambda: ("a bad version, and no engine", "failed") in daemon.outcomes(), 20)
        await daemon.live("app-0", 20)
        await self.alone("app-0")


class StopTests(ScenarioCase):
    async def test_a_stop_during_the_handover_leaves_the_old_version_serving(self) -> None:
        daemon = await self.started(overlap=False, restart="always", keep=True, status_timeout=LONG)
        self.never_ready("app-1")
        daemon.trigger("a slow version")
        await until(lambda: "app-1" in self.world.engine.running())
        await daemon.stop()
        self.assert_alone("app-0")

    async def test_a_stop_while_the_rules_go_is_heard_at_once(self) -> None:
        daemon = await self.started(overlap=False, restart="always", status_timeout=LONG)
        stops: list[Outcome[None]] = []
        unroute = daemon.app.routes.unroute

        async def stopped_while_unrouting(number: int | None = None) -> None:
            patched.stop()
            REACTOR.callLater(0, lambda: stops.append(Outcome(start(daemon.stop(within=5)))))
            # The stop comes before the rules are gone.
            await shielded(sleep(REACTOR, 0.05))
            await unroute(number)

        patched = mock.patch.object(daemon.app.routes, "unroute", stopped_while_unrouting)
        patched.start()
        self.world.write_app(STATUS="503")
        daemon.trigger("a version that is never ready")
        await until(lambda: stops and stops[0].is_settled)
        stops[0].get()
        self.assert_nothing_left()
