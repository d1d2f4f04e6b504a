"""Cancellation that waits until the cancelled work has ended.

``Deferred.cancel`` fires a Deferred at once, while the work behind it (a thread, a request, a process) may
still run, and the failure may be any that the work makes of it. ``settled`` and ``shielded`` fire only when the
work has ended, and cancelled work always ends in ``CancelledError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Outcome(Generic[T]):
    """The result of a Deferred, for any number of waiters. Cancelling a waiter does not cancel the work."""

    def __init__(self, work: Deferred[T]) -> None:
        self._waiters: list[Deferred[None]] = []
        self._result: list[T | Failure] = []
        work.addBoth(self._settle)

    @property
    def is_settled(self) -> bool:
        """Whether the work has ended, with a result or a failure."""
        return bool(self._result)

    def wait(self) -> Deferred[None]:
        """Fire with None when the work has ended, with a result or a failure. Cancel ends this wait only."""
        waiter: Deferred[None] = Deferred(self._forget)
        if self._result:
            waiter.callback(None)
        else:
            self._waiters.append(waiter)
        return waiter

    def get(self) -> T:
        """Return the result of work that has ended, or raise its failure."""
        result = self._result[0]
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def _settle(self, result: T | Failure) -> None:
        self._result.append(result)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)


async def settled(work: Deferred[T], on_cancel: Callable[[], object] | None = None) -> T:
    """Wait until ``work`` has settled, and only then honour a cancel.

    The first cancel calls ``on_cancel``, which should make the work end soon (by default, it cancels the work); further
    cancels have no effect. Returns the result of the work or raises its failure; after a cancel it raises
    ``CancelledError`` in any case, and the caller undoes a result that came too late.
    """
    cancelled, outcome = await _wait(work, work.cancel if on_cancel is None else on_cancel)
    if cancelled:
        raise CancelledError
    return outcome.get()


async def shielded(work: Deferred[T]) -> T:
    """Wait until ``work`` has settled, and return its result or raise its failure. Ignores cancellation.

    For clean-up, and for work that is past its point of no return.
    """
    _, outcome = await _wait(work, None)
    return outcome.get()


async def _wait(work: Deferred[T], on_cancel: Callable[[], object] | None) -> tuple[bool, Outcome[T]]:
    """Return whether a cancel came meanwhile, and the outcome."""
    outcome = Outcome(work)
    cancelled = False
    while not outcome.is_settled:
        try:
            await outcome.wait()
        except CancelledError:
            if not cancelled and on_cancel is not None:
                on_cancel()
            cancelled = True
    return cancelled, outcome
