"""The liveness check reports a version that has failed often enough in a row, and checks on."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from hanoverd.deploy.liveness import Liveness
from hanoverd.spec.health import HealthSpec
from tests.unit.deploy.dummies import Calls, Result, ids, running

pytestmark = pytest.mark.usefixtures("no_log")


@pytest.fixture(name="no_log")
def _no_log() -> Any:
    """What is logged is not for the terminal."""
    with capturedLogs() as logged:
        yield logged


class DummyVersions:
    """Has a failure reason for each version, or fails."""

    def __init__(self) -> None:
        self.reasons: dict[int, str | Exception | None] = {}
        self.checked: list[int] = []

    async def failure_reason(self, one: Any) -> str | None:
        self.checked.append(one.number)
        reason = self.reasons.get(one.number)
        if isinstance(reason, Exception):
            raise reason
        return reason


class Checking:
    """A liveness check of versions 1 and 2, each second, that reports after three failures."""

    def __init__(self, every: float = 1.0, slow: Any = None) -> None:
        self.clock = Clock()
        self.versions = DummyVersions()
        versions: Any = self.versions if slow is None else slow
        self.live = [running(1), running(2)]
        self.failed: list[tuple[int, str]] = []
        self.liveness = Liveness(
            self.clock,
            versions,
            HealthSpec(1.0, every, 3),
            lambda: list(self.live),
            lambda number, reason: self.failed.append((number, reason)),
        )
        self.liveness.start()

    def wait(self, seconds: int) -> None:
        self.clock.pump([1.0] * seconds)


def test_each_live_version_is_checked_each_time() -> None:
    it = Checking()
    it.wait(2)
    assert (it.versions.checked, it.failed) == ([1, 2, 1, 2], [])


def test_nothing_is_checked_where_it_is_not_wanted() -> None:
    it = Checking(every=0.0)
    assert it.clock.getDelayedCalls() == []


def test_a_version_that_has_failed_three_times_in_a_row_is_reported_once() -> None:
    it = Checking()
    it.versions.reasons[2] = "refused"
    it.wait(2)
    assert it.failed == []
    it.wait(1)
    assert it.failed == [(2, "refused")]
    it.wait(2)
    assert it.failed == [(2, "refused")]


def test_a_success_counts_failures_from_zero_again(no_log: Any) -> None:
    it = Checking()
    it.versions.reasons[1] = "refused"
    it.wait(2)
    it.versions.reasons[1] = None
    it.wait(1)
    it.versions.reasons[1] = "refused"
    it.wait(2)
    assert it.failed == []
    assert [(event["count"], event["limit"]) for event in no_log] == [(1, 3), (2, 3), (1, 3), (2, 3)]


def test_a_version_that_was_replaced_meanwhile_is_not_reported() -> None:
    calls = Calls([])

    class SlowVersions:
        async def failure_reason(self, one: Any) -> str | None:
            reason: str | None = await calls.call(f"check {one.number}")
            return reason

    it = Checking(slow=SlowVersions())
    it.live.pop()
    for _ in range(2):
        it.wait(1)
        calls.answer("check 1", "refused")
    it.wait(1)
    it.live.clear()
    calls.answer("check 1", "refused")
    assert it.failed == []


def test_a_bug_does_not_end_the_checks(no_log: Any) -> None:
    it = Checking()
    it.versions.reasons[1] = ZeroDivisionError()
    it.wait(2)
    assert it.versions.checked == [1, 2, 1, 2]
    assert ids(no_log)[0] == "internal_error"


def test_a_stop_waits_for_the_check_under_way_and_leaves_no_timer() -> None:
    it = Checking()
    it.wait(1)
    result = Result(it.liveness.stop())
    assert result.values == [None]
    assert it.clock.getDelayedCalls() == []
