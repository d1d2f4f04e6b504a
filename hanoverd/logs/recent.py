"""The last entries of the log, and the next ones, for ``hanoverd logs`` and ``hanoverd deploy --wait``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from hanoverd.logs.entry import Entry, entry_of
from hanoverd.logs.event_ring import EventRing
from hanoverd.logs.events import STREAMED
from hanoverd.logs.formats import is_noise
from hanoverd.text.counting import counted

#: How many entries are kept, and how much memory they may take, in bytes.
MOST, MOST_BYTES = 2000, 8 * 1024 * 1024


@dataclass(frozen=True)
class LogQuery:
    """Which entries are asked for, and how they are shown.

    The last ``tail`` entries (None: all that are kept), not older than ``since`` (a Unix time), of a ``source`` ("": both);
    with ``follow`` also the entries that are logged from now on.  ``json`` is one object per line, else text.
    """

    tail: int | None = None
    follow: bool = False
    source: str = ""
    since: float = 0
    timestamps: bool = False
    json: bool = False

    def is_wanted(self, entry: Entry) -> bool:
        """Whether an entry has the source and the age that are asked for."""
        return self.source in ("", entry.source) and entry.time >= self.since

    def line(self, entry: Entry) -> str:
        """Return an entry as it is asked for."""
        if self.json:
            return entry.json
        return entry.stamped() if self.timestamps else entry.text


@implementer(ILogObserver)
class RecentLog:
    """Keeps the last entries from ``start`` on, at most ``MOST`` of them and ``MOST_BYTES``; ``followers`` are called with
    each new one.  ``events`` are the same as typed events, with some that are not in the log.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._size = 0
        #: How many entries there were before the ones that are kept.
        self._dropped = 0
        self.followers: set[Callable[[Entry], object]] = set()
        self.events = EventRing()

    @property
    def entries(self) -> list[Entry]:
        """The entries, the oldest first."""
        return list(self._entries)

    def lines(self, query: LogQuery) -> Iterator[str]:
        """Yield the lines of the entries that are asked for, as far as they were logged before.

        It holds no entries: entries that are dropped before they are yielded are left out, and counted.
        """
        first = self._dropped
        wanted = [first + index for index, entry in enumerate(self._entries) if query.is_wanted(entry)]
        return self._lines(query, wanted if query.tail is None else wanted[max(0, len(wanted) - query.tail) :])

    def _lines(self, query: LogQuery, numbers: Iterable[int]) -> Iterator[str]:
        missing = 0
        for number in numbers:
            if number < self._dropped:
                missing += 1
                continue
            if missing:
                yield query.line(left_out(missing))
                missing = 0
            yield query.line(self._entries[number - self._dropped])
        if missing:
            yield query.line(left_out(missing))

    def start(self) -> None:
        """Keep what is logged from now on."""
        globalLogPublisher.addObserver(self)

    def stop(self) -> None:
        """Keep nothing more."""
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Keep an event, and pass it to the followers."""
        is_logged = not is_noise(event)
        if is_logged or event.get("event") in STREAMED:
            entry = entry_of(event)
            if is_logged:
                self._keep(entry)
            self.events.add(entry)

    def _keep(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._size += entry.size
        while len(self._entries) > MOST or self._size > MOST_BYTES:
            self._size -= self._entries.popleft().size
            self._dropped += 1
        for follower in list(self.followers):
            follower(entry)


def left_out(count: int) -> Entry:
    """Return the entry that says, to a client that reads too slowly, how many it did not get."""
    entries = counted(count, "entry", "entries")
    message = f"{entries} left out: this client reads too slowly"
    return entry_of({"log_time": time.time(), "log_level": LogLevel.warn, "log_format": message})
