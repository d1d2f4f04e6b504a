"""Points in time as text, as ``docker logs --since`` reads them (``GetTimestamp`` in Docker's api/types/time)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from hanoverd.text.durations import parse_duration
from hanoverd.text.quoting import quoted

_DATE = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?)?"
    r"(?P<zone>[zZ]|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))?"
)
_UNIX = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True)
class Moment:
    """A point in time: the Unix time ``at``, or so many seconds before now."""

    at: float = 0.0
    ago: float | None = None

    def unix(self, now: float) -> float:
        """Return its Unix time."""
        return self.at if self.ago is None else now - self.ago


def parse_moment(text: str) -> Moment:
    """Return the moment of a duration before now (``24h``), of a date with or without a time (RFC 3339), or of a Unix time.

    A date without a zone is in the local one.  Raises ValueError.
    """
    if _UNIX.fullmatch(text) and text != "0":
        return Moment(at=float(text))
    found = _DATE.fullmatch(text)
    if found is not None:
        return Moment(at=_date(text, found))
    try:
        ago = parse_duration(text)
    except ValueError:
        ago = -1.0
    if ago < 0:
        raise ValueError(
            f"{quoted(text)} is no time: write a duration before now, as in 24h or 1h30m, or a date, as in 2026-11-28 or "
            "2026-11-28T09:30:00Z"
        )
    return Moment(ago=ago)


def _date(text: str, found: re.Match[str]) -> float:
    parts = [int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    fraction = float(f"0.{found['fraction'] or 0}")
    try:
        moment = datetime(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], tzinfo=_zone(found))
        # Without a zone, Python takes the local one, with the daylight saving time of that day.
        return moment.timestamp() + fraction
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{quoted(text)} is no time: there is no such date, or it is out of range") from None


def _zone(found: re.Match[str]) -> timezone | None:
    if found["zone"] is None:
        return None
    if found["sign"] is None:
        return UTC
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return timezone(-offset if found["sign"] == "-" else offset)
