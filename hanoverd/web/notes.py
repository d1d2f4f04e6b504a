"""Short messages about what a user has done, each shown once: the URL of the next page has its ID.  Pure, apart from chance."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

#: How many wait to be shown; the oldest is forgotten for a new one.
MOST_NOTES = 100

_ID_BYTES = 9


@dataclass(frozen=True)
class Note:
    """A message; an error if ``is_error``."""

    text: str = ""
    is_error: bool = False


class Notes:
    """The messages that were not shown yet."""

    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}

    def add(self, note: Note) -> str:
        """Keep a message, and return its ID."""
        identifier = secrets.token_urlsafe(_ID_BYTES)
        self._notes[identifier] = note
        while len(self._notes) > MOST_NOTES:
            del self._notes[next(iter(self._notes))]
        return identifier

    def take(self, identifier: str) -> Note:
        """Return a message, once; an empty one for an ID that is not known."""
        return self._notes.pop(identifier, Note())
