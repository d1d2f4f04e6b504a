"""Passes items from a thread to the reactor, without letting the thread fill the memory or take all of the reactor's time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime

T = TypeVar("T")

#: How many items may wait for the reactor. The thread then waits too, and so does what it reads from.
MAX_IN_TRANSIT = 100

#: The time between two full batches, in seconds: it limits the flow to 10,000 items a second. What prints faster than that
#: would otherwise keep the thread, which holds Python's global lock, and the reactor busy, and delay health probes.
PAUSE = 0.01


class RelayReactor(IReactorTime, IReactorFromThreads):
    """The parts of a reactor that take items from a thread."""


class Relay(Generic[T]):
    """Calls ``take`` in the reactor's thread, once for each item that ``send`` is called with in another thread, in order."""

    def __init__(self, reactor: RelayReactor, take: Callable[[T], object]) -> None:
        self._reactor = reactor
        self._take = take
        self._room = Condition()
        self._waiting: list[T] = []
        self._is_scheduled = False
        self._later: IDelayedCall | None = None

    def send(self, item: T) -> None:
        """Pass an item on; blocks while ``MAX_IN_TRANSIT`` others wait. Call it in the thread."""
        with self._room:
            self._room.wait_for(lambda: len(self._waiting) < MAX_IN_TRANSIT)
            self._waiting.append(item)
            was_scheduled, self._is_scheduled = self._is_scheduled, True
        if not was_scheduled:
            self._reactor.callFromThread(self._deliver)

    def flush(self) -> None:
        """Deliver the last items before anything that the reactor gets from this thread later. Call it in the thread."""
        self._reactor.callFromThread(self._deliver_rest)

    def _deliver(self) -> None:
        self._later = None
        items = self._taken()
        if self._is_scheduled:
            self._later = self._reactor.callLater(PAUSE, self._deliver)
        self._take_all(items)

    def _deliver_rest(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._take_all(self._taken())

    def _take_all(self, items: list[T]) -> None:
        first_error: Exception | None = None
        for item in items:
            try:
                self._take(item)
            except Exception as error:  # noqa: BLE001  # one item must not cost the others; the reactor logs the error
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def _taken(self) -> list[T]:
        with self._room:
            items, self._waiting = self._waiting, []
            self._is_scheduled = len(items) >= MAX_IN_TRANSIT
            self._room.notify()
        return items
