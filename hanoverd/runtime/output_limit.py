"""A limit on how much output of a program is logged."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime


@dataclass(frozen=True)
class OutputRate:
    """So much at once, and so much per second from then on."""

    lines_at_once: int
    lines: int
    bytes_at_once: int
    bytes: int


class OutputLimit:
    """Says which lines are logged, and counts the others."""

    def __init__(self, clock: IReactorTime, rate: OutputRate) -> None:
        self._lines = _Allowance(clock, rate.lines_at_once, rate.lines)
        self._bytes = _Allowance(clock, rate.bytes_at_once, rate.bytes)
        self._dropped = 0

    def admits(self, size: int) -> bool:
        """Return whether the next line, of so many bytes, is logged."""
        if self._lines.has(1) and self._bytes.has(size):
            self._lines.take(1)
            self._bytes.take(size)
            return True
        self._dropped += 1
        return False

    def pop_dropped(self) -> int:
        """Return how many lines were not logged since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped


class _Allowance:
    """A token bucket: it holds ``most``, and gains ``per_second``."""

    def __init__(self, clock: IReactorTime, most: float, per_second: float) -> None:
        self._clock = clock
        self._most = most
        self._per_second = per_second
        self._left = most
        self._at = clock.seconds()

    def has(self, count: int) -> bool:
        """Return whether so much is left."""
        now = self._clock.seconds()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        return self._left >= count

    def take(self, count: int) -> None:
        """Use so much."""
        self._left -= count
