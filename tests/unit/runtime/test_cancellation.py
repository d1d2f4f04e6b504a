"""Cancel that waits for the end of what it cancelled."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred

from hanoverd.runtime.cancellation import Outcome, settled, shielded
from tests.coroutines import Run


def test_settled_gives_the_result_of_the_work() -> None:
    work: Deferred[int] = Deferred()
    run = Run(settled(work))
    assert run.results == []
    work.callback(7)
    assert run.results == [7]


def test_settled_raises_what_the_work_failed_with() -> None:
    work: Deferred[int] = Deferred()
    run = Run(settled(work))
    work.errback(KeyError("gone"))
    assert run.failed_with(KeyError)


def test_a_cancelled_settled_fires_only_when_the_work_has_ended() -> None:
    work: Deferred[int] = Deferred()
    hastened: list[str] = []
    run = Run(settled(work, lambda: hastened.append("hasten")))
    run.deferred.cancel()
    assert (hastened, run.results) == (["hasten"], [])
    work.callback(7)
    assert run.failed_with(CancelledError)


def test_a_second_cancel_neither_hastens_again_nor_ends_the_wait() -> None:
    work: Deferred[int] = Deferred()
    hastened: list[str] = []
    run = Run(settled(work, lambda: hastened.append("hasten")))
    run.deferred.cancel()
    run.deferred.cancel()
    assert (hastened, run.results) == (["hasten"], [])
    work.errback(KeyError("broken off"))
    assert run.failed_with(CancelledError)


def test_a_cancel_disguised_by_the_work_comes_out_as_cancelled() -> None:
    work: Deferred[int] = Deferred(lambda d: d.errback(ConnectionError("no response was received")))
    run = Run(settled(work))
    run.deferred.cancel()
    assert run.failed_with(CancelledError)


def test_shielded_work_returns_its_result_whatever_is_cancelled() -> None:
    work: Deferred[int] = Deferred()
    run = Run(shielded(work))
    run.deferred.cancel()
    run.deferred.cancel()
    assert run.results == []
    work.callback(7)
    assert run.results == [7]


@pytest.mark.parametrize("settled_first", [True, False])
def test_an_outcome_serves_any_number_of_waiters(settled_first: bool) -> None:
    work: Deferred[int] = Deferred()
    outcome = Outcome(work)
    fired: list[object] = []
    if settled_first:
        work.callback(7)
    for _ in range(3):
        outcome.wait().addCallback(fired.append)
    if not settled_first:
        work.callback(7)
    assert (fired, outcome.get(), outcome.is_settled) == ([None] * 3, 7, True)


def test_cancelling_one_waiter_touches_neither_the_work_nor_the_others() -> None:
    cancelled: list[object] = []
    work: Deferred[int] = Deferred(cancelled.append)
    outcome = Outcome(work)
    fired: list[object] = []
    first, second = outcome.wait(), outcome.wait()
    first.addErrback(lambda failure: fired.append(failure.type))
    second.addCallback(fired.append)
    first.cancel()
    work.callback(7)
    assert (fired, cancelled) == ([CancelledError, None], [])
