"""Containers are removed in the end, and what waits for them does not wait for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from hanoverd.deploy.events import Event, Gone
from hanoverd.deploy.removals import ATTEMPTS, Removals
from hanoverd.runtime.errors import EngineUnreachable, HanoverdError
from tests.unit.deploy.dummies import Calls, Result, container, ids

#: How long a removal is waited for.
WAIT = 10.0


class DummyVersions(Calls):
    """Removes and stops as a test answers; cancelled removals have failed."""

    app = "app"

    async def remove_or_log(self, one: Any) -> bool:
        try:
            await self.call(f"remove {one.number}")
        except CancelledError:
            return False
        return True

    async def stop(self, one: Any) -> None:
        await self.call(f"stop {one.number}")

    async def listed(self) -> Any:
        return await self.call("list")


class DummyRoutes:
    """Fails so many times to remove the routes."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.failures = 0

    async def unroute(self) -> None:
        self.events.append("unroute")
        if self.failures:
            self.failures -= 1
            raise HanoverdError("no iptables")


class Parts:
    """Removals, and their dummy neighbours."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.clock = Clock()
        self.versions = DummyVersions(self.events)
        self.routes = DummyRoutes(self.events)
        versions: Any = self.versions
        routes: Any = self.routes
        none: Any = None
        self.removals = Removals(self.clock, versions, versions, routes, none, none, WAIT, self.send)

    def send(self, event: Event) -> None:
        self.events.append(f"gone {event.number}" if isinstance(event, Gone) else "swept")

    def news(self) -> list[str]:
        events = list(self.events)
        self.events.clear()
        return events


def test_a_removal_fires_when_the_container_is_gone() -> None:
    it = Parts()
    result = Result(it.removals.remove(container(1)))
    assert (result.values, it.news()) == ([], ["remove 1"])
    it.versions.answer("remove 1")
    assert (result.values, it.news()) == ([None], ["gone 1"])
    assert it.clock.getDelayedCalls() == []


def test_a_removal_that_takes_long_goes_on_and_is_not_waited_for() -> None:
    it = Parts()
    result = Result(it.removals.remove(container(1)))
    it.clock.advance(WAIT - 0.1)
    assert result.values == []
    it.clock.advance(0.2)
    assert (result.values, it.news()) == ([None], ["remove 1"])
    it.versions.answer("remove 1")
    assert it.news() == ["gone 1"]


def test_a_cancel_does_not_touch_the_removal() -> None:
    it = Parts()
    result = Result(it.removals.remove(container(1)))
    result.work.cancel()
    assert it.news() == ["remove 1"]
    it.versions.answer("remove 1")
    assert it.news() == ["gone 1"]


def test_a_close_waits_and_then_gives_up() -> None:
    it = Parts()
    it.removals.remove(container(1))
    it.clock.advance(WAIT + 1)
    result = Result(it.removals.close())
    it.clock.advance(WAIT - 0.1)
    assert (result.values, it.news()) == ([], ["remove 1"])
    it.clock.advance(0.2)
    assert (result.values, it.news()) == ([None], ["remove 1 cancelled", "gone 1"])


def test_a_kill_gives_up_on_removals() -> None:
    it = Parts()
    result = Result(it.removals.remove(container(1)))
    it.removals.kill()
    assert (result.values, it.news()) == ([None], ["remove 1", "remove 1 cancelled", "gone 1"])


def test_a_sweep_removes_the_rules_then_stops_and_removes_every_container() -> None:
    it = Parts()
    result = Result(it.removals.sweep())
    assert it.news() == ["unroute", "list"]
    it.versions.answer("list", [(container(1), {}), (container(2), {})])
    assert it.news() == ["stop 1", "stop 2"]
    it.versions.answer("stop 2")
    it.versions.answer("remove 2")
    it.versions.answer("stop 1")
    assert (result.values, it.news()) == ([], ["remove 2", "remove 1"])
    it.versions.answer("remove 1")
    assert result.values == [None]


def test_a_sweep_removes_what_cannot_be_stopped() -> None:
    it = Parts()
    result = Result(it.removals.sweep())
    it.versions.answer("list", [(container(1), {})])
    it.versions.answer("stop 1", EngineUnreachable("no engine"))
    it.versions.answer("remove 1")
    assert (result.values, it.news()) == ([None], ["unroute", "list", "stop 1", "remove 1", "swept"])


def test_a_kill_during_a_sweep_kills_what_does_not_stop() -> None:
    it = Parts()
    result = Result(it.removals.sweep())
    it.versions.answer("list", [(container(1), {})])
    it.news()
    it.removals.kill()
    assert it.news() == ["stop 1 cancelled", "remove 1"]
    it.versions.answer("remove 1")
    assert result.values == [None]


def test_a_sweep_ignores_cancellation() -> None:
    it = Parts()
    result = Result(it.removals.sweep())
    it.versions.answer("list", [(container(1), {})])
    result.work.cancel()
    assert (result.values, it.news()) == ([], ["unroute", "list", "stop 1"])
    it.versions.answer("stop 1")
    it.versions.answer("remove 1")
    assert result.values == [None]


def test_a_sweep_tries_a_few_times_to_remove_the_rules_and_continues() -> None:
    it = Parts()
    it.routes.failures = ATTEMPTS
    with capturedLogs() as logged:
        result = Result(it.removals.sweep())
        it.clock.pump([1.0] * 20)
    assert it.news() == [*["unroute"] * ATTEMPTS, "list"]
    assert ids(logged) == ["routes_failed"]
    it.versions.answer("list", [])
    assert result.values == [None]


def test_a_sweep_tries_again_to_remove_the_rules() -> None:
    it = Parts()
    it.routes.failures = 1
    Result(it.removals.sweep())
    it.clock.advance(0.2)
    assert it.news() == ["unroute", "unroute", "list"]


def test_a_sweep_that_cannot_list_the_containers_is_logged_and_ends() -> None:
    it = Parts()
    result = Result(it.removals.sweep())
    with capturedLogs() as logged:
        it.versions.answer("list", EngineUnreachable("no engine"))
    assert result.values == [None]
    assert ids(logged) == ["sweep_failed"]
