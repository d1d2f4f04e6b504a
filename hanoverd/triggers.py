"""Triggers, and the work that each of them begins anew: the newest first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.model.wishes import FromSource, Wish

log = Logger()

_NEWER = "a newer one begins"

#: How long a trigger waits for work that is queued and urgent, in seconds.
WAITS = 10.0


@dataclass(frozen=True)
class Ordered:
    """What somebody asked for by hand, who knows it by ``number``."""

    reason: str
    wish: Wish
    number: int


@dataclass(frozen=True)
class Order:
    """What the triggers since the last time come to; ``is_queued`` tells that the work itself asked for it, alone, and
    ``ordered`` is the order, if there was one, whose ``wish`` it is.
    """

    reasons: tuple[str, ...]
    wish: Wish
    is_queued: bool = False
    ordered: Ordered | None = None


#: Does the work; must not fail.
Work = Callable[[Order], Coroutine[Deferred[Any], Any, None]]


class Triggers:
    """Runs ``work`` once for each trigger.

    A trigger while it is under way cancels it, which it may ignore; any number of triggers meanwhile make it run once
    more, for what the newest of them wishes.  The revision that a trigger named (a commit) is what later ones mean that
    name none.
    """

    def __init__(self, clock: IReactorTime, work: Work) -> None:
        self._clock = clock
        self._work = work
        self._reasons: list[str] = []
        self._queued: list[str] = []
        #: An order that has not begun yet.
        self._ordered: Ordered | None = None
        self._revision: str | None = None
        self._seen: str | None = None
        self._wake: Deferred[None] = Deferred()
        self._under_way: Deferred[None] | None = None
        self._order: Order | None = None
        self._waiting: IDelayedCall | None = None
        self._loop: Deferred[None] | None = None
        self._stopping = False
        #: The triggers that wait for ``resume``, each with its revision; None while they are not made to wait.
        self._held: list[tuple[str, str | None]] | None = None
        #: The revision that was obtained last; the work's to tell.
        self.obtained: str | None = None
        #: Why the work under way, or the last one, was cancelled; "" where it was not.
        self.why_cancelled = ""
        #: Whether what is queued goes before all else, and is not cancelled by a trigger at once.
        self.is_urgent: Callable[[], bool] = lambda: False
        #: Whether it will be done again.
        self.is_postponed = False
        #: Called with an order that never begins, and why not.
        self.on_dropped: Callable[[Ordered, str], object] = lambda _ordered, _why: None

    @property
    def is_busy(self) -> bool:
        """Whether the work is under way, or about to begin."""
        return self._under_way is not None or self._wake.called

    @property
    def is_stopping(self) -> bool:
        """Whether nothing begins any more."""
        return self._stopping

    @property
    def is_paused(self) -> bool:
        """Whether triggers wait for ``resume``."""
        return self._held is not None

    @property
    def held(self) -> tuple[str, ...]:
        """The reasons of those that wait."""
        return tuple(reason for reason, _ in self._held or ())

    def start(self) -> None:
        """Wait for triggers from now on."""
        self._loop = Deferred.fromCoroutine(self._run())

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Have the work done as soon as may be, for what the source has."""
        if self._held is not None:
            log.info("{reason}: held, for hanoverd is paused", reason=reason)
            self._held.append((reason, revision))
            return
        if revision is not None:
            self._revision = revision
        if revision == self._revision:
            # It is newer than what was seen before it, or gets the newest there is.
            self._seen = None
        self._drop(_NEWER)
        self._begin(reason)

    def order(self, ordered: Ordered) -> None:
        """Have the work done as soon as may be, for what is wished, this once; also while paused."""
        self._drop(_NEWER)
        self._ordered = ordered
        self._begin(ordered.reason)

    def queue(self, reason: str) -> None:
        """Have the work done, but let what is under way come to its end first; for the work itself, too; also while
        paused.
        """
        self._queued.append(reason)
        self._wake_up()

    def postpone(self, why: str) -> None:
        """Cancel what is under way for what is queued, and do it again after that."""
        order = self._order
        if order is None or order.is_queued:
            return
        if not self._reasons:
            self._reasons = [*order.reasons]
            self._ordered = order.ordered
            self.is_postponed = True
        self._interrupt(self._under_way, why)

    def missed(self, newest: str) -> None:
        """The source was asked, and has ``newest``: have the work done, unless that was obtained, or is under way."""
        self._seen = newest
        if not self.is_busy:
            self._catch_up()

    def cancel(self, why: str) -> bool:
        """Cancel what is under way, and forget the triggers that wait for its end; whether there was anything."""
        if not self.is_busy:
            return False
        self._drop(why)
        self._reasons = []
        self._interrupt(self._under_way, why)
        return True

    def pause(self) -> None:
        """Hold all triggers from now on; what is under way goes on.  Idempotent."""
        if self._held is None:
            self._held = []

    def resume(self) -> None:
        """Do what the triggers wished that were held, all at once.  Idempotent."""
        held, self._held = self._held or [], None
        for reason, revision in held:
            self.trigger(reason, revision)
        if not self.is_busy:
            self._catch_up()

    async def stop(self) -> None:
        """Cancel what is under way, and begin nothing more; fires when it is over; cannot be cancelled."""
        self._stopping = True
        superseded = self._under_way
        self._wake_up()
        self._interrupt(superseded, "hanoverd stops")
        if self._loop is not None:
            await uncancellable(self._loop)

    def _begin(self, reason: str) -> None:
        self._reasons.append(reason)
        superseded, order = self._under_way, self._order
        self._wake_up()
        if order is None or not (order.is_queued and self.is_urgent()):
            self._interrupt(superseded, _NEWER)
        elif self._waiting is None:
            self._waiting = self._clock.callLater(WAITS, self._interrupt, superseded, _NEWER)

    def _drop(self, why: str) -> None:
        if self._ordered is not None:
            ordered, self._ordered = self._ordered, None
            self._reasons.remove(ordered.reason)
            self.on_dropped(ordered, why)

    def _wake_up(self) -> None:
        if not self._wake.called:
            self._wake.callback(None)

    def _interrupt(self, work: Deferred[None] | None, why: str) -> None:
        if work is not None:
            self.why_cancelled = why
            work.cancel()

    async def _run(self) -> None:
        while True:
            await self._wake
            if self._stopping:
                return
            self._wake = Deferred()
            order = self._take()
            if order is not None:
                self.why_cancelled, self.is_postponed = "", False
                self._order = order
                self._under_way = Deferred.fromCoroutine(self._work(order))
                await self._under_way
                self._under_way = self._order = None
                self._end_of_waiting()
            if self._reasons:
                self._wake_up()
            self._catch_up()

    def _take(self) -> Order | None:
        queued, self._queued = self._queued, []
        if queued and (not self._reasons or self.is_urgent()):
            return Order(tuple(dict.fromkeys(queued)), FromSource(self._revision), is_queued=True)
        reasons = tuple(dict.fromkeys(self._reasons + queued))
        ordered, self._ordered = self._ordered, None
        wish = FromSource(self._revision) if ordered is None else ordered.wish
        self._reasons = []
        return Order(reasons, wish, ordered=ordered) if reasons else None

    def _end_of_waiting(self) -> None:
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None

    def _catch_up(self) -> None:
        if self.is_paused or self._stopping or self.is_busy:
            return
        seen, self._seen = self._seen, None
        if seen is not None and seen != self.obtained:
            self._revision = seen
            self._begin(f"hookbot was away, and the source has changed: {seen}")
