"""Coroutines that go on beside what begun them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import Outcome, uncancellable

log = Logger()


class Tasks:
    """Those of one owner that are under way.  What they fail with, which they should not, is logged; a cancel is not."""

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._running)

    def go(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> None:
        """Begin one; nobody need wait for it."""
        task = Deferred.fromCoroutine(coroutine)
        if not task.called:
            self._running.add(task)

        def end(result: object) -> None:
            self._running.discard(task)
            if isinstance(result, Failure) and result.check(CancelledError) is None:
                log.failure("a mistake in hanoverd", result, event="internal_error")

        task.addBoth(end)

    def cancel(self) -> None:
        """Cancel all."""
        for task in list(self._running):
            task.cancel()

    async def over(self) -> None:
        """Fires when none is under way any more; deaf to every cancel."""
        while self._running:
            await uncancellable(Outcome(next(iter(self._running))).wait())

    async def stop(self) -> None:
        """Cancel all, and wait for their ends; deaf to every cancel."""
        self.cancel()
        await self.over()
