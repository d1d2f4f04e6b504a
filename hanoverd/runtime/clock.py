"""Waiting by the clock: sleep, time limits, and a grace period before force."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import Outcome, settled
from hanoverd.text.durations import format_duration

T = TypeVar("T")


class TimedOut(Exception):
    """Work did not finish within its time limit, and was cancelled."""


def sleep(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fire with None after ``seconds``; cancel ends the wait at once and leaves no timer."""
    return deferLater(clock, seconds, lambda: None)


async def within(clock: IReactorTime, seconds: float, work: Deferred[T]) -> T:
    """Return the result of ``work``, which is cancelled after ``seconds``.

    Raises ``TimedOut`` when the work has ended because of that; otherwise the error of the work. Cancel cancels the work.
    """
    return await work.addTimeout(seconds, clock, onTimeoutCancel=_timed_out)


async def settles_within(clock: IReactorTime, seconds: float, outcome: Outcome[T]) -> bool:
    """Return True as soon as the work has settled, False if it has not after ``seconds``.

    The work is not cancelled, neither by the time limit nor by cancel.
    """
    try:
        await within(clock, seconds, outcome.wait())
    except TimedOut:
        return False
    return True


async def settled_or_forced(
    clock: IReactorTime,
    grace: float,
    work: Deferred[T],
    force: Callable[[], object],
    ask: Callable[[], object] = lambda: None,
) -> T:
    """Wait until ``work`` has settled, and return its result; a cancel leaves it ``grace`` seconds.

    The first cancel calls ``ask``, and, ``grace`` seconds later, ``force`` if the work has not settled by then; each should
    make the work end soon. Raises ``CancelledError`` after a cancel, when the work has settled, whatever its result.
    """
    timers: list[IDelayedCall] = []

    def on_cancel() -> None:
        ask()
        timers.append(clock.callLater(grace, force))

    try:
        return await settled(work, on_cancel)
    finally:
        for timer in timers:
            if timer.active():
                timer.cancel()


def _timed_out(result: T | Failure, seconds: float) -> T | Failure:
    # A result or another error that came all the same is better than none.
    if isinstance(result, Failure) and result.check(CancelledError):
        return Failure(TimedOut(f"not done within {format_duration(seconds)}"))
    return result
