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

from twisted.logger import LogLevel

from hanoverd.logs.entry import APP, Entry, entry_of
from hanoverd.logs.events import MISSED
from hanoverd.spec.event_id import EventID
from hanoverd.text.counting import counted

#: How many events are kept, and beside them how many lines of output; and how much memory each may take, in bytes.
MOST, MOST_BYTES = 1000, 4 * 1024 * 1024

#: The version of the JSON objects.  Keys may be added to it; it changes when one changes its meaning, or goes.
FORMAT = 1


@dataclass(frozen=True)
class StreamEvent:
    """One event as a client gets it: after it, the client is at the position ``id``.  ``data`` is a JSON object."""

    id: EventID
    kind: str
    data: str


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
        return self._entries[count - self.dropped] if count < self.count else None

    def before(self, when: float) -> int:
        """Return how many entries there were before a Unix time, as far as they are kept."""
        return self.dropped + bisect_left([entry.time for entry, _ in self._entries], when)


class EventRing:
    """Keeps the last events, and calls ``followers`` at each new one."""

    def __init__(self) -> None:
        #: Says which run of hanoverd an ID belongs to.
        self.run = secrets.token_hex(4)
        self.followers: set[Callable[[], object]] = set()
        self._events = _Kept()
        self._output = _Kept()

    def add(self, entry: Entry) -> None:
        """Keep an entry of the log, and call the followers."""
        if entry.source == APP:
            self._output.add(entry, self._events.count)
        else:
            self._events.add(entry, self._output.count)
        for follower in list(self.followers):
            follower()

    @property
    def now(self) -> EventID:
        """The position after all events so far."""
        return EventID(self.run, self._events.count, self._output.count)

    def reader(self, since: EventID | float | None, *, output: bool = False) -> EventReader:
        """Return what reads the events after an ID, since a Unix time, or from now on; with ``output`` what versions print, too.

        An ID of another run is answered with all that is kept, after an event which says that others may be missing.
        """
        if since is None:
            return EventReader(self, self.now, output=output)
        if not isinstance(since, EventID):
            start = EventID(self.run, self._events.before(since), self._output.before(since))
            return EventReader(self, start, output=output)
        is_known = since.run == self.run and since.events <= self._events.count and since.output <= self._output.count
        if is_known:
            return EventReader(self, since, output=output)
        return EventReader(self, EventID(self.run), output=output, is_other_run=True)

    def missed_after(self, position: EventID, *, output: bool) -> tuple[int, EventID]:
        """Return how many events after ``position`` are no longer kept, and the position after them."""
        kept = position.at_least(self._events.dropped, self._output.dropped if output else 0)
        return (kept.events - position.events) + (kept.output - position.output), kept

    def after(self, position: EventID, *, output: bool) -> tuple[Entry, EventID] | None:
        """Return the next entry, and the position after it; none that is no longer kept may be before it."""
        event = self._events.after(position.events)
        line = self._output.after(position.output) if output else None
        # In the order in which they came: each has one more before it than the one before.
        if event is not None and (line is None or position.events + event[1] < position.output + line[1]):
            return event[0], position.at_least(position.events + 1, event[1])
        return None if line is None else (line[0], position.at_least(line[1], position.output + 1))


class EventReader:
    """Reads the events of a ring, one after the other, for one client; it holds nothing but its position."""

    def __init__(self, ring: EventRing, position: EventID, *, output: bool, is_other_run: bool = False) -> None:
        self._ring = ring
        self._output = output
        self._is_other_run = is_other_run
        #: The position after what was read.
        self.position = position

    def next(self) -> StreamEvent | None:
        """Return the next event; None if there is none yet.

        Where events are missing, because they are no longer kept, an event says how many.
        """
        count, kept = self._ring.missed_after(self.position, output=self._output)
        if self._is_other_run:
            self._is_other_run = False
            self.position = kept
            return self._missed(None, "hanoverd was started again", "events of the earlier run may be missing")
        if count:
            self.position = kept
            events = counted(count, "event is", "events are")
            return self._missed(count, "the client read too slowly, or was away for too long", f"{events} missing")
        found = self._ring.after(self.position, output=self._output)
        if found is None:
            return None
        entry, self.position = found
        return self._event(entry)

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
        return self._event(entry_of(event))

    def _event(self, entry: Entry) -> StreamEvent:
        # The keys of the log come after these.
        return StreamEvent(self.position, entry.event, f'{{"v": {FORMAT}, "id": "{self.position}", {entry.json[1:]}')
