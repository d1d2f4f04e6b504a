"""Numbers in what other programs, and strangers, have written."""

from __future__ import annotations

#: More than any count, port, time or version has. Python refuses to read numbers of more than 4,300 digits.
_MOST_DIGITS = 20


def parse_decimal(text: str) -> int | None:
    """Return the number that ``text`` consists of, in at most 20 digits from 0 to 9; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
