"""Sleep, time limits, and a grace period before force."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from hanoverd.runtime.cancellation import Outcome
from hanoverd.runtime.clock import TimedOut, settled_or_forced, settles_within, sleep, within
from tests.coroutines import Run


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_sleep_fires_after_its_seconds(clock: Clock) -> None:
    sleeping = sleep(clock, 2.0)
    clock.advance(1.9)
    assert not sleeping.called
    clock.advance(0.1)
    assert sleeping.result is None


def test_a_cancelled_sleep_leaves_no_timer(clock: Clock) -> None:
    sleeping = sleep(clock, 2.0)
    sleeping.cancel()
    sleeping.addErrback(lambda failure: failure.trap(CancelledError))
    assert clock.getDelayedCalls() == []


def test_work_within_its_time_limit_returns_its_result_and_leaves_no_timer(clock: Clock) -> None:
    work: Deferred[int] = Deferred()
    run = Run(within(clock, 5.0, work))
    clock.advance(4.9)
    work.callback(7)
    assert (run.results, clock.getDelayedCalls()) == ([7], [])


def test_work_within_its_time_limit_raises_its_error(clock: Clock) -> None:
    work: Deferred[int] = Deferred()
    run = Run(within(clock, 5.0, work))
    work.errback(KeyError("gone"))
    assert run.failed_with(KeyError)
    assert clock.getDelayedCalls() == []


def test_work_is_cancelled_at_its_time_limit(clock: Clock) -> None:
    cancelled: list[object] = []
    run = Run(within(clock, 5.0, Deferred(cancelled.append)))
    clock.advance(5.0)
    assert len(cancelled) == 1
    assert run.failed_with(TimedOut)


def test_the_time_limit_is_reported_when_the_work_has_ended(clock: Clock) -> None:
    ending: Deferred[None] = Deferred()

    async def work() -> None:
        try:
            await Deferred()
        except CancelledError:
            await ending
            raise

    run = Run(within(clock, 5.0, Deferred.fromCoroutine(work())))
    clock.advance(5.0)
    assert run.results == []
    ending.callback(None)
    assert run.failed_with(TimedOut)


def test_a_result_that_comes_in_spite_of_the_time_limit_is_returned(clock: Clock) -> None:
    run = Run(within(clock, 5.0, Deferred(lambda work: work.callback(7))))
    clock.advance(5.0)
    assert run.results == [7]


def test_a_cancel_before_the_time_limit_is_no_time_out(clock: Clock) -> None:
    run = Run(within(clock, 5.0, Deferred()))
    run.deferred.cancel()
    assert run.failed_with(CancelledError)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("result", [7, KeyError("gone")])
def test_work_that_ends_in_time_settles_within_it(clock: Clock, result: object) -> None:
    work: Deferred[object] = Deferred()
    run = Run(settles_within(clock, 5.0, Outcome(work)))
    work.callback(result)
    assert (run.results, clock.getDelayedCalls()) == ([True], [])


def test_work_that_does_not_end_in_time_goes_on(clock: Clock) -> None:
    cancelled: list[object] = []
    outcome: Outcome[None] = Outcome(Deferred(cancelled.append))
    run = Run(settles_within(clock, 5.0, outcome))
    clock.advance(5.0)
    assert (run.results, cancelled, outcome.is_settled) == ([False], [], False)


def test_a_cancel_asks_at_once_and_forces_after_the_grace_period(clock: Clock) -> None:
    work: Deferred[int] = Deferred()
    calls: list[str] = []
    run = Run(settled_or_forced(clock, 2.0, work, lambda: calls.append("force"), lambda: calls.append("ask")))
    run.deferred.cancel()
    assert calls == ["ask"]
    clock.advance(2.0)
    assert (calls, run.results) == (["ask", "force"], [])
    work.callback(7)
    assert run.failed_with(CancelledError)


def test_work_that_ends_in_its_grace_period_is_not_forced(clock: Clock) -> None:
    work: Deferred[int] = Deferred()
    calls: list[str] = []
    run = Run(settled_or_forced(clock, 2.0, work, lambda: calls.append("force")))
    run.deferred.cancel()
    work.callback(7)
    assert run.failed_with(CancelledError)
    assert (calls, clock.getDelayedCalls()) == ([], [])


def test_without_a_cancel_the_grace_period_does_not_start(clock: Clock) -> None:
    work: Deferred[int] = Deferred()
    run = Run(settled_or_forced(clock, 2.0, work, lambda: None))
    assert clock.getDelayedCalls() == []
    work.callback(7)
    assert run.results == [7]
