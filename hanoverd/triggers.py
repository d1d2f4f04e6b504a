"""Triggers, and the work that each of them begins anew: the newest first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from hanoverd.concurrency.cancellation import uncancellable

#: Does the work for triggers, given their reasons and the revision that is wanted (None: the newest); must not fail.
Work = Callable[[Sequence[str], str | None], Coroutine[Deferred[Any], Any, None]]


class Triggers:
    """Runs ``work`` once for each trigger.

    A trigger while it is under way cancels it, which it may ignore; any number of triggers meanwhile make it run once
    more.  The revision that a trigger named (a commit) is what later ones mean that name none.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._reasons: list[str] = []
        self._revision: str | None = None
        self._seen: str | None = None
        self._wake: Deferred[None] = Deferred()
        self._under_way: Deferred[None] | None = None
        self._loop: Deferred[None] | None = None
        self._stopping = False
        #: The revision that was obtained last; the work's to tell.
        self.obtained: str | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the work is under way, or about to begin."""
        return self._under_way is not None or self._wake.called

    def start(self) -> None:
        """Wait for triggers from now on."""
        self._loop = Deferred.fromCoroutine(self._run())

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Have the work done as soon as may be."""
        if revision is not None:
            self._revision = revision
        if revision == self._revision:
            # It is newer than what was seen before it, or gets the newest there is.
            self._seen = None
        superseded = self._under_way
        self.queue(reason)
        if superseded is not None:
            superseded.cancel()

    def missed(self, newest: str) -> None:
        """The source was asked, and has ``newest``: have the work done, unless that was obtained, or is under way."""
        self._seen = newest
        if not self.is_busy:
            self._catch_up()

    async def stop(self) -> None:
        """Cancel what is under way, and begin nothing more; fires when it is over; cannot be cancelled."""
        self._stopping = True
        self.trigger("stop")
        if self._loop is not None:
            await uncancellable(self._loop)

    def queue(self, reason: str) -> None:
        """Have the work done, but let what is under way come to its end first; for the work itself, too."""
        self._reasons.append(reason)
        if not self._wake.called:
            self._wake.callback(None)

    async def _run(self) -> None:
        while True:
            await self._wake
            if self._stopping:
                return
            self._wake = Deferred()
            reasons, self._reasons = self._reasons, []
            self._under_way = Deferred.fromCoroutine(self._work(tuple(dict.fromkeys(reasons)), self._revision))
            await self._under_way
            self._under_way = None
            self._catch_up()

    def _catch_up(self) -> None:
        seen, self._seen = self._seen, None
        if seen is not None and seen != self.obtained and not self._stopping:
            self._revision = seen
            self.queue(f"hookbot was away, and the source has changed: {seen}")
