"""Retry with backoff: the delays, and the loop."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from hanoverd.runtime.backoff import Backoff, Delays, retry
from tests.coroutines import Run

BACKOFF = Backoff(first=1.0, longest=5.0)


class Work:
    """Fails with ``errors`` in turn, then returns "done"; ``calls`` are the times at which it was called."""

    def __init__(self, clock: Clock, *errors: Exception) -> None:
        self._clock = clock
        self._errors = list(errors)
        self.calls: list[float] = []

    async def __call__(self) -> str:
        self.calls.append(self._clock.seconds())
        if self._errors:
            raise self._errors.pop(0)
        return "done"


def test_the_delay_grows_by_its_factor_up_to_the_longest() -> None:
    assert [BACKOFF.delay(attempt) for attempt in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [Backoff(8.0, 100.0, 1.5).delay(attempt) for attempt in (1, 2, 3)] == [8.0, 12.0, 18.0]


def test_a_million_attempts_do_not_overflow() -> None:
    assert BACKOFF.delay(1_000_000) == BACKOFF.longest


def test_delays_start_over_after_a_reset() -> None:
    delays = Delays(BACKOFF)
    assert [delays.next(), delays.next()] == [1.0, 2.0]
    delays.reset()
    assert [delays.next(), delays.next()] == [1.0, 2.0]


def test_work_is_retried_after_each_delay_until_it_succeeds() -> None:
    clock = Clock()
    work = Work(clock, KeyError("first"), KeyError("second"))
    run = Run(retry(clock, BACKOFF, work, on=KeyError))
    clock.pump([1.0, 1.0, 1.0])
    assert (work.calls, run.results, clock.getDelayedCalls()) == ([0.0, 1.0, 3.0], ["done"], [])


def test_the_error_of_the_last_attempt_is_raised() -> None:
    clock = Clock()
    work = Work(clock, *(KeyError(number) for number in (1, 2, 3)))
    run = Run(retry(clock, BACKOFF, work, on=KeyError, attempts=3))
    clock.pump([1.0, 2.0])
    [failure] = run.results
    assert isinstance(failure, Failure)
    assert (len(work.calls), str(failure.value)) == (3, "3")


def test_an_error_of_another_type_is_raised_at_once() -> None:
    clock = Clock()
    work = Work(clock, ValueError("no"))
    run = Run(retry(clock, BACKOFF, work, on=KeyError))
    assert run.failed_with(ValueError)
    assert clock.getDelayedCalls() == []


def test_each_error_and_delay_is_reported_before_the_sleep() -> None:
    clock, reported = Clock(), list[tuple[str, float]]()
    work = Work(clock, KeyError("first"), KeyError("second"))
    Run(
        retry(clock, BACKOFF, work, on=KeyError, before_sleep=lambda error, delay: reported.append((str(error), delay)))
    )
    assert reported == [("'first'", 1.0)]
    clock.advance(1.0)
    assert reported == [("'first'", 1.0), ("'second'", 2.0)]


def test_what_before_sleep_raises_ends_the_retries() -> None:
    clock = Clock()

    def give_up(error: KeyError, _delay: float) -> None:
        raise error

    work = Work(clock, KeyError("first"))
    run = Run(retry(clock, BACKOFF, work, on=KeyError, before_sleep=give_up))
    assert run.failed_with(KeyError)
    assert clock.getDelayedCalls() == []


def test_a_cancel_ends_the_sleep_and_leaves_no_timer() -> None:
    clock = Clock()
    work = Work(clock, KeyError("first"))
    run = Run(retry(clock, BACKOFF, work, on=Exception))
    run.deferred.cancel()
    assert run.failed_with(CancelledError)
    assert (len(work.calls), clock.getDelayedCalls()) == (1, [])


def test_a_cancel_ends_the_attempt_and_is_not_retried() -> None:
    clock = Clock()
    attempt: Deferred[None] = Deferred()

    async def work() -> None:
        await attempt

    run = Run(retry(clock, BACKOFF, work, on=KeyError))
    run.deferred.cancel()
    assert run.failed_with(CancelledError)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("attempts", [1, 2])
def test_no_more_than_the_given_attempts_are_made(attempts: int) -> None:
    clock = Clock()
    work = Work(clock, *(KeyError(number) for number in range(9)))
    Run(retry(clock, BACKOFF, work, on=KeyError, attempts=attempts))
    clock.pump([100.0] * 5)
    assert len(work.calls) == attempts
