"""Which handovers the page of an app shows: its URL's query.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from hanoverd.history import record
from hanoverd.text.decimal import parse_decimal

#: How many handovers a page shows.
PAGE_LENGTH = 25

#: The outcomes that can be asked for.
OUTCOMES = (*record.OUTCOMES, record.INTERRUPTED)


@dataclass(frozen=True)
class AppQuery:
    """The handovers of this ``outcome`` ("": of any) whose ID is below ``before`` (None: the newest)."""

    before: int | None = None
    outcome: str = ""

    @classmethod
    def of(cls, arguments: Mapping[bytes, Sequence[bytes]]) -> AppQuery:
        """Return what a URL asks for.  What it cannot mean is left out: a link that is too old still shows the page."""
        before, outcome = _first(arguments, b"before"), _first(arguments, b"outcome")
        return cls(parse_decimal(before), outcome if outcome in OUTCOMES else "")

    def url(self) -> str:
        """Return the query for a link, with its question mark."""
        values = {"outcome": self.outcome, "before": "" if self.before is None else str(self.before)}
        return "?" + urlencode({name: value for name, value in values.items() if value})


def _first(arguments: Mapping[bytes, Sequence[bytes]], name: bytes) -> str:
    return next(iter(arguments.get(name, ())), b"").decode("ascii", "replace")
