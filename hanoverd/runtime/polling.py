"""How long to wait between two looks at something, and how to wait."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater


def growing(first: float, most: float, factor: float) -> Iterator[float]:
    """Delays in seconds, without end: ``first``, then each ``factor`` times the last, never over ``most``."""
    delay = first
    while True:
        yield min(delay, most)
        delay = min(delay * factor, most)


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fire with None after ``seconds``; cancel ends the wait at once and leaves no timer."""
    return deferLater(clock, seconds, lambda: None)
