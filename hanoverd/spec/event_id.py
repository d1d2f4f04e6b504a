"""The IDs of the stream of events: positions from which a client goes on reading.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: The numbers of a run that lasts for ever have fewer digits.
_FORM = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True)
class EventID:
    """A position in the events of one ``run`` of hanoverd: after so many events of hanoverd, and lines of ``output``.

    They are counted apart, because many clients get the events only: so it is known what each of them has missed.
    """

    run: str
    events: int = 0
    output: int = 0

    @classmethod
    def parse(cls, text: str) -> EventID:
        """Return the ID that ``text`` writes; ValueError."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError("it must be the ID of an event, such as 3f9a1c20-17-240")
        return cls(found[1], int(found[2]), int(found[3]))

    def __str__(self) -> str:
        return f"{self.run}-{self.events}-{self.output}"
