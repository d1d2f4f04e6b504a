"""Times as the page shows them.  Pure.  ``static/live.js`` has the same words, and keeps them current."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

#: Before the year 10000, as far as ``datetime`` reaches.
_LAST = 253402300799


@dataclass(frozen=True)
class Moment:
    """A time: for machines (``iso``), as a date, and as words from ``now``."""

    iso: str
    date: str
    age: str

    @classmethod
    def of(cls, then: float, now: float) -> Moment:
        """Return the Unix time ``then``, seen at ``now``."""
        date = datetime.fromtimestamp(min(max(0.0, then), _LAST), UTC)
        return cls(f"{date:%Y-%m-%dT%H:%M:%S}Z", f"{date:%Y-%m-%d %H:%M:%S} UTC", age(now - then))


def age(seconds: float) -> str:
    """Return how long something is, in its greatest unit, as Docker writes it: ``5 minutes``."""
    for unit, name in _UNITS:
        count = int(seconds // unit)
        if count >= 1:
            return f"1 {name}" if count == 1 else f"{count} {name}s"
    return "less than a second"
