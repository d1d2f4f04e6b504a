"""The result of an adoption, a failure too, is an event."""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs

from hanoverd.deploy import events as ev
from hanoverd.deploy.adoption import Adoption
from hanoverd.runtime.errors import HanoverdError
from tests.unit.deploy.dummies import Calls, Result, exit_of, running


class DummyVersions:
    """Monitors versions 1 and 2."""

    app = "app"

    def __init__(self, events: list[object]) -> None:
        self.events = events
        self.known = {1: running(1), 2: running(2)}

    def running(self, number: int) -> Any:
        return self.known.get(number)

    async def stop_monitoring_all(self) -> None:
        self.events.append("stop monitoring")


class ScriptedAdoption(Adoption):
    """Finds what a test answers."""

    calls: Calls

    async def find(self) -> ev.Adopted:
        found: ev.Adopted = await self.calls.call("find")
        return found


class DummyNumbers:
    """Notes which number is the next."""

    next = 0

    def follow(self, next_number: int) -> None:
        self.next = next_number


class Parts:
    """An adoption in progress, and its dummy neighbours."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.versions = DummyVersions(self.events)
        versions: Any = self.versions
        routes: Any = None
        self.numbers = DummyNumbers()
        numbers: Any = self.numbers
        self.adoption = ScriptedAdoption(versions, routes, numbers, 5.0, self.events.append)
        self.calls = self.adoption.calls = Calls([])
        self.result = Result(self.adoption.adopt())


ADOPTED = ev.Adopted(1, is_ready=True, draining=((2, True),), next_number=3)


def test_what_was_found_is_sent() -> None:
    it = Parts()
    it.calls.answer("find", ADOPTED)
    assert (it.result.values, it.events) == ([None], [ADOPTED])
    assert it.numbers.next == 3


def test_an_exit_during_the_take_over_is_sent_when_the_version_is_known() -> None:
    it = Parts()
    exit_of(it.versions.known[1], 3)
    it.calls.answer("find", ADOPTED)
    assert it.events == [ADOPTED, ev.Exited(1, 3)]


def test_a_version_that_drains_and_exits_during_the_take_over_is_reported_too() -> None:
    it = Parts()
    exit_of(it.versions.known[2], 0)
    it.calls.answer("find", ADOPTED)
    assert it.events == [ADOPTED, ev.Exited(2, 0)]


def test_a_cancel_leaves_all_containers_to_themselves() -> None:
    it = Parts()
    it.result.work.cancel()
    assert (it.result.values, it.events) == ([None], ["stop monitoring", ev.AdoptionCancelled()])


def test_a_failure_is_sent() -> None:
    it = Parts()
    it.calls.answer("find", HanoverdError("no iptables"))
    assert it.events == [ev.AdoptionFailed("no iptables")]


def test_a_bug_is_logged_and_sent_as_a_failure() -> None:
    it = Parts()
    with capturedLogs() as logged:
        it.calls.answer("find", ZeroDivisionError("oops"))
    [line] = logged
    assert line["log_failure"].check(ZeroDivisionError)
    assert it.events == [ev.AdoptionFailed("internal error: oops")]
