"""The last events, and the next ones, for the clients of the stream of events (``GET /events``).

All that happens is logged, and each event of the log comes here: what shows events reads them here.  The ring is also what waits for
a client that reads slowly: so a client takes no memory of its own, whatever it does.
"""

from __future__ import annotations

import secrets
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from twisted.logger import LogLevel

from hanoverd.logs.entry import APP, Entry, entry_of
from hanoverd.logs.events import MISSED
from hanoverd.spec.event_id import EventID
from hanoverd.text.counting import counted
from hanoverd.text.escapes import escaped_line

#: How many events are kept, and beside them how many lines of output; and how much memory each may take, in bytes.
MOST, MOST_BYTES = 1000, 4 * 1024 * 1024

#: The version of the JSON objects.  Keys may be added to it; it changes when one changes its meaning, or goes.
FORMAT = 1


@dataclass(frozen=True)
class StreamEvent:
    """One event as a client gets it: after it, the client is at the position ``id``."""

    id: EventID
    entry: Entry

    @property
    def kind(self) -> str:
        """What has happened."""
        return self.entry.event

    @property
    def data(self) -> str:
        """The event as a JSON object."""
        # The keys of the log come after these.
        return f'{{"v": {FORMAT}, "id": "{self.id}", {self.entry.json[1:]}'

    @cached_property
    def block(self) -> bytes:
        """The event as a server-sent event (HTML Standard, section 9.2)."""
        return f"id: {self.id}\nevent: {escaped_line(self.kind)}\ndata: {self.data}\n\n".encode()


class _Kept:
    """The last entries of one source, each with how many there were of the other source before it."""

    def __init__(self) -> None:
        self._entries: deque[tuple[Entry, int]] = deque()
        self._size = 0
        #: How many entries there were before the ones that are kept.
        self.dropped = 0

    @property
    def count(self) -> int:
        """How many entries there were so far."""
        return self.dropped + len(self._entries)

    def add(self, entry: Entry, others: int) -> None:
        """Keep an entry."""
        self._entries.append((entry, others))
        self._size += entry.size
        while len(self._entries) > MOST or self._size > MOST_BYTES:
            self._size -= self._entries.popleft()[0].size
            self.dropped += 1

    def after(self, count: int) -> tuple[Entry, int] | None:
        """Return the entry after the first ``count`` ones, if there is one; it must not be dropped."""
        index = count - self.dropped
        return self._entries[index] if index < len(self._entries) else None

    def before(self, when: float) -> int:
        """Return how many entries there were before a Unix time, as far as they are kept."""
        return self.dropped + bisect_left([entry.time for entry, _ in self._entries], when)


class EventRing:
    """Keeps the last events, and calls ``followers`` at each new one: with whether it is a line that a version printed."""

    def __init__(self) -> None:
        #: Says which run of hanoverd an ID belongs to.
        self.run = secrets.token_hex(4)
        self.followers: set[Callable[[bool], object]] = set()
        self.events = _Kept()
        self.output = _Kept()
        self._made: StreamEvent | None = None

    def add(self, entry: Entry) -> None:
        """Keep an entry of the log, and call the followers."""
        is_output = entry.source == APP
        if is_output:
            self.output.add(entry, self.events.count)
        else:
            self.events.add(entry, self.output.count)
        for follower in list(self.followers):
            follower(is_output)

    def reader(self, since: EventID | float | None, *, output: bool = False) -> EventReader:
        """Return what reads the events after an ID, since a Unix time, or from now on; with ``output`` what versions print, too.

        An ID of another run is answered with all that is kept, after an event which says that others may be missing.
        """
        if since is None:
            return EventReader(self, self.events.count, self.output.count, output=output)
        if not isinstance(since, EventID):
            return EventReader(self, self.events.before(since), self.output.before(since), output=output)
        is_known = since.run == self.run and since.events <= self.events.count and since.output <= self.output.count
        if is_known:
            return EventReader(self, since.events, since.output, output=output)
        return EventReader(self, 0, 0, output=output, is_other_run=True)

    def made(self, entry: Entry, events: int, output: int) -> StreamEvent:
        """Return an entry as it is sent to clients that are after so many events and lines of output then.

        Most clients read the same event at the same position, one after the other: it is made once for all of them.
        """
        last = self._made
        if last is None or last.entry is not entry or (last.id.events, last.id.output) != (events, output):
            self._made = last = StreamEvent(EventID(self.run, events, output), entry)
        return last


class EventReader:
    """Reads the events of a ring, one after the other, for one client; it holds nothing but its position."""

    def __init__(
        self, ring: EventRing, events: int, lines: int, *, output: bool = False, is_other_run: bool = False
    ) -> None:
        self._ring = ring
        # How many events, and lines of output, the client has had.
        self._events = events
        self._lines = lines
        self._is_other_run = is_other_run
        #: Whether lines of output are read.
        self.wants_output = output

    @property
    def position(self) -> EventID:
        """The position after what was read."""
        return EventID(self._ring.run, self._events, self._lines)

    def next(self) -> StreamEvent | None:
        """Return the next event; None if there is none yet.

        Where events are missing, because they are no longer kept, an event says how many.
        """
        missed = self._skip_missed()
        if self._is_other_run:
            self._is_other_run = False
            return self._missed(None, "hanoverd was started again", "events of the earlier run may be missing")
        if missed:
            events = counted(missed, "event is", "events are")
            return self._missed(missed, "the client read too slowly, or was away for too long", f"{events} missing")
        event = self._ring.events.after(self._events)
        line = self._ring.output.after(self._lines) if self.wants_output else None
        # In the order in which they came: each has one more before it than the one before.
        if event is not None and (line is None or self._events + event[1] < self._lines + line[1]):
            self._events += 1
            self._lines = max(self._lines, event[1])
            return self._ring.made(event[0], self._events, self._lines)
        if line is None:
            return None
        self._lines += 1
        self._events = max(self._events, line[1])
        return self._ring.made(line[0], self._events, self._lines)

    def _skip_missed(self) -> int:
        """Go to the first position after which all is kept; return how many events were skipped."""
        missed = 0
        if self._events < self._ring.events.dropped:
            missed = self._ring.events.dropped - self._events
            self._events = self._ring.events.dropped
        if self.wants_output and self._lines < self._ring.output.dropped:
            missed += self._ring.output.dropped - self._lines
            self._lines = self._ring.output.dropped
        return missed

    def _missed(self, count: int | None, reason: str, what: str) -> StreamEvent:
        event = {
            "log_time": time.time(),
            "log_level": LogLevel.warn,
            "log_format": "events: {what}: {reason}",
            "event": MISSED.id,
            "count": count,
            "reason": reason,
            "what": what,
        }
        return StreamEvent(self.position, entry_of(event))
