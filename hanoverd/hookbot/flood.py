"""Limits for peers that send too much."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class RateLimit:
    """Allows ``most`` events, such as frames of a websocket, within ``period`` seconds."""

    def __init__(self, most: int, period: float) -> None:
        self._most = most
        self._period = period
        self._since: float | None = None
        self._count = 0

    def allows(self, now: float) -> bool:
        """Count an event at the time ``now``, in seconds; return whether it is within the limit."""
        if self._since is None or now - self._since >= self._period:
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= self._most


class NewestMessages:
    """Passes messages on, ``burst`` at once and then one every ``interval`` seconds. Only the newest message waits for its
    turn; the others are skipped.

    ``on_message`` takes a message, and ``on_skipped`` the number of messages that were skipped before it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        burst: int,
        interval: float,
        on_message: Callable[[bytes], object],
        on_skipped: Callable[[int], object],
    ) -> None:
        self._clock = clock
        self._burst = burst
        self._interval = interval
        self._on_message = on_message
        self._on_skipped = on_skipped
        #: When the burst that was used is available again.
        self._free_at = 0.0
        self._waiting: bytes | None = None
        self._skipped = 0
        self._timer: IDelayedCall | None = None

    def add(self, message: bytes) -> None:
        """Pass ``message`` on, now or later, unless a newer one arrives before."""
        if self._timer is not None:
            self._skipped += 1
            self._waiting = message
            return
        wait = self._wait()
        if wait <= 0:
            self._pass_on(message)
        else:
            self._waiting = message
            self._timer = self._clock.callLater(wait, self._pass_on_waiting)

    def stop(self) -> None:
        """Forget the message that waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waiting = None
        self._skipped = 0

    def _wait(self) -> float:
        """Return the time until the next message may be passed on, in seconds."""
        return self._free_at - self._clock.seconds() - (self._burst - 1) * self._interval

    def _pass_on_waiting(self) -> None:
        message, skipped = self._waiting, self._skipped
        self._timer = self._waiting = None
        self._skipped = 0
        if skipped:
            self._on_skipped(skipped)
        if message is not None:
            self._pass_on(message)

    def _pass_on(self, message: bytes) -> None:
        self._free_at = max(self._free_at, self._clock.seconds()) + self._interval
        self._on_message(message)
