"""One event of the log, as clients of a running hanoverd are shown it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from twisted.logger import LogEvent

from hanoverd.logs.events import OUTPUT
from hanoverd.logs.formats import as_json, timestamp, without_time

#: Where an entry comes from: printed by a version of the app, or logged by hanoverd.
APP, DAEMON = "app", "daemon"


@dataclass(frozen=True)
class Entry:
    """One event of the log, which may have several lines; ``time`` is a Unix time, ``json`` one object."""

    time: float
    stamp: str
    source: str
    event: str
    text: str
    json: str

    @property
    def size(self) -> int:
        """The memory that its text takes, in bytes."""
        return sys.getsizeof(self.text) + sys.getsizeof(self.json)

    def stamped(self) -> str:
        """Return the text with the time before it."""
        return f"{self.stamp} {self.text}"


def entry_of(event: LogEvent) -> Entry:
    """Return an event of the log as an entry."""
    kind = event.get("event", "other")
    source = APP if kind == OUTPUT else DAEMON
    return Entry(event["log_time"], timestamp(event), source, kind, without_time(event), as_json(event))
