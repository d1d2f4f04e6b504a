"""Coroutines that run in the background."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import Outcome, shielded

log = Logger()


class Tasks:
    """The background tasks of one owner.

    A task should not fail: a failure is logged as an internal error. Cancellation is not a failure.
    """

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()

    def __len__(self) -> int:
        """Return the number of tasks that run."""
        return len(self._running)

    def start(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> None:
        """Start a task."""
        task = Deferred.fromCoroutine(coroutine)
        if not task.called:
            self._running.add(task)

        def end(result: object) -> None:
            self._running.discard(task)
            if isinstance(result, Failure) and result.check(CancelledError) is None:
                log.failure("internal error: a task failed", result, event="internal_error")

        task.addBoth(end)

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in list(self._running):
            task.cancel()

    async def settled(self) -> None:
        """Wait until all tasks have ended. Ignores cancellation."""
        while self._running:
            await shielded(Outcome(next(iter(self._running))).wait())

    async def stop(self) -> None:
        """Cancel all tasks, and wait until they have ended. Ignores cancellation."""
        self.cancel()
        await self.settled()
