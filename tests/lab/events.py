"""The log of hanoverd as events: what ``--log-format json`` prints, one object per line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanoverd.logs.events import EVENTS

_FIELDS = {kind.id: kind.fields for kind in EVENTS}


@dataclass(frozen=True)
class Event:
    """One event; ``position`` is its place in the log, from 1."""

    position: int
    id: str
    message: str
    fields: Mapping[str, Any]

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]


@dataclass(frozen=True)
class Wanted:
    """The events of the given kinds whose fields have the given values; a callable decides about a value."""

    ids: tuple[str, ...]
    fields: Mapping[str, object]

    def __post_init__(self) -> None:
        """Fail at once for an event or a field that hanoverd does not have, instead of waiting for it in vain."""
        for name in self.ids:
            assert name in _FIELDS, f"hanoverd has no event {name!r}"
            missing = set(self.fields) - _FIELDS[name]
            assert not missing, f"the event {name!r} has no field {', '.join(sorted(missing))}"

    def matches(self, event: Event) -> bool:
        """Whether an event is one of these."""
        return (not self.ids or event.id in self.ids) and all(
            value(event.fields.get(name)) if callable(value) else event.fields.get(name) == value
            for name, value in self.fields.items()
        )

    def __str__(self) -> str:
        return f"{' or '.join(self.ids)} {dict(self.fields) or ''}".strip()


def contains(text: str) -> Callable[[object], bool]:
    """Match a field whose text contains ``text``."""
    return lambda value: text in str(value)


class EventLog:
    """Reads the events of a log file as it grows.  Lines that are not JSON, as of a crash at the start, are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._events: list[Event] = []

    def read(self) -> Sequence[Event]:
        """Return all events so far."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            if line.startswith(b"{"):
                self._add(json.loads(line))
        return self._events

    def _add(self, fields: dict[str, Any]) -> None:
        self._events.append(Event(len(self._events) + 1, fields.pop("event"), fields.pop("message"), fields))
