"""Cancel that waits for the end of what it cancelled.

``Deferred.cancel`` fires a Deferred at once, while the work behind it (a thread, a request, a process) may
still be going on, and it hands on whatever failure the work made of it.  The two coroutines here close that
gap: they fire when the work is over, and cancelled work always ends in ``CancelledError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Outcome(Generic[T]):
    """What a Deferred came to, for any number of waiters; no waiter's cancel reaches the work."""

    def __init__(self, work: Deferred[T]) -> None:
        self._waiters: list[Deferred[None]] = []
        self._result: list[T | Failure] = []
        work.addBoth(self._settle)

    @property
    def is_over(self) -> bool:
        """Whether the work has ended, well or not."""
        return bool(self._result)

    def wait(self) -> Deferred[None]:
        """Fire with None when the work is over, however it ended; cancel frees this waiter only."""
        waiter: Deferred[None] = Deferred(self._waiters_forget)
        if self._result:
            waiter.callback(None)
        else:
            self._waiters.append(waiter)
        return waiter

    def get(self) -> T:
        """The result of work that is over; raises what it failed with."""
        result = self._result[0]
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def _settle(self, result: T | Failure) -> None:
        self._result.append(result)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _waiters_forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)


async def over(work: Deferred[T], hasten: Callable[[], object] | None = None) -> T:
    """Wait until ``work`` is over, and only then honour a cancel.

    The first cancel calls ``hasten`` (which should make the work end soon; by default, cancels it), each
    further one is remembered only.  Returns the result of the work, raises its failure, or, if there was a
    cancel, raises ``CancelledError`` whatever the work came to: undoing a late result is the caller's part.
    """
    cancelled, outcome = await _outlast(work, work.cancel if hasten is None else hasten)
    if cancelled:
        raise CancelledError
    return outcome.get()


async def uncancellable(work: Deferred[T]) -> T:
    """Wait until ``work`` is over and give its result, deaf to every cancel on the way.

    For clean-up, and for what is past its point of no return.
    """
    _, outcome = await _outlast(work, None)
    return outcome.get()


async def _outlast(work: Deferred[T], hasten: Callable[[], object] | None) -> tuple[bool, Outcome[T]]:
    outcome = Outcome(work)
    cancelled = False
    while not outcome.is_over:
        try:
            await outcome.wait()
        except CancelledError:
            if not cancelled and hasten is not None:
                hasten()
            cancelled = True
    return cancelled, outcome
