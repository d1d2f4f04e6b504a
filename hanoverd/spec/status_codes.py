"""Sets of HTTP status codes, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hanoverd.text.quoting import quoted

#: RFC 9110, section 15: three digits, the first of them 1 to 5.
_RANGE = re.compile("([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


@dataclass(frozen=True)
class StatusCodes:
    """Some HTTP status codes."""

    ranges: tuple[range, ...]

    @classmethod
    def parse(cls, text: str) -> StatusCodes:
        """Read a code, a range, or a list of both: ``200-299,301``.  ValueError for anything else."""
        return cls(tuple(_parse_range(part) for part in text.split(",")))

    def __contains__(self, code: object) -> bool:
        """Whether a code is one of them."""
        return any(code in codes for codes in self.ranges)

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return ",".join(f"{codes[0]}" if len(codes) == 1 else f"{codes[0]}-{codes[-1]}" for codes in self.ranges)


#: The one that means success, without further meaning.
OK = StatusCodes((range(200, 201),))


def _parse_range(text: str) -> range:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{quoted(text)} is not an HTTP status or a range of them: write 200-299,301, for example")
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise ValueError(f"{quoted(text)} is empty: write {last}-{first}")
    return range(first, last + 1)
