"""The record of one handover.  Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hanoverd.spec.differences import Difference
from hanoverd.text.lines import shortened

#: The outcomes of a handover.  An interrupted one was in progress when its hanoverd was killed, or its host failed.
UNDER_WAY, LIVE, FAILED, CANCELLED, UNCHANGED = "under way", "live", "failed", "cancelled", "unchanged"
INTERRUPTED = "interrupted"

#: The outcomes of a handover whose hanoverd was there until its end.
OUTCOMES = (LIVE, FAILED, CANCELLED, UNCHANGED)

#: The phases of each handover that goes live; without overlap, there is also ``stopped``.
PHASES = ("obtained", "created", "started", "ready", "routed")

#: Why a handover was interrupted.
WHY_INTERRUPTED = "hanoverd ended in the middle of it: it was killed, or the host failed"

#: The kinds of triggers.
START, SIGNAL, COMMAND, HOOKBOT, RESTART, OTHER = "start", "signal", "command", "hookbot", "restart", "other"
KINDS = (START, SIGNAL, COMMAND, HOOKBOT, RESTART, OTHER)

#: How much is remembered of the trigger of a handover, of why it failed, and of a text about it, in characters.
LONGEST_TRIGGER, LONGEST_WHY, LONGEST_TEXT = 1024, 32 * 1024, 1024

#: How many handovers are kept, and how many are shown unless more are asked for.
MOST_HANDOVERS, DEFAULT_LIMIT = 1000, 100

#: How many differences are remembered, and how much of each of their two values, in characters of JSON.
MOST_CHANGES, LONGEST_VALUE = 50, 200


@dataclass(frozen=True)
class Origin:
    """Who or what triggered a handover.

    ``user`` and ``uid`` are the user of the process that sent a command; ``topic`` and ``commit`` are those of hookbot.
    """

    kind: str
    user: str = ""
    uid: int | None = None
    topic: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Drained:
    """How the connections of a replaced version ended: ``finished`` by themselves, or ``cut``; None: not known."""

    version: str
    seconds: float
    finished: int | None
    cut: int | None


@dataclass
class Record:
    """One handover.  ``began`` is a Unix time, ``took`` and the times of the ``phases`` are in seconds."""

    id: int
    trigger: str
    began: float
    app: str = ""
    asked_by: list[Origin] = field(default_factory=list)
    version: str = ""
    number: int | None = None
    old: str = ""
    #: The version that this one repeats, if it is a rollback.
    rollback_to: str = ""
    #: What the image was obtained from, without secrets; and its commit or digest, if the source has one.
    source: str = ""
    revision: str = ""
    image: str = ""
    image_id: str = ""
    #: What differs from the version that was live; None if none was, or if that is not known yet.
    changes: list[dict[str, Any]] | None = None
    phases: list[tuple[str, float]] = field(default_factory=list)
    outcome: str = UNDER_WAY
    why: str = ""
    took: float | None = None
    drained: list[Drained] = field(default_factory=list)
    #: How often the engine was lost during it.
    losses: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.outcome != UNDER_WAY

    def json(self) -> dict[str, Any]:
        """Return it as JSON data, with the phases as objects."""
        return {**asdict(self), "phases": [{"phase": phase, "seconds": seconds} for phase, seconds in self.phases]}

    def compare(self, found: Iterable[Difference]) -> None:
        """Record what differs from the version that was live: the first differences, long values cut."""
        shown = [
            {"place": one.place, "live": _short(one.live), "next": _short(one.next)}
            for one in list(found)[:MOST_CHANGES]
        ]
        self.changes = shown


@dataclass(frozen=True)
class HistoryQuery:
    """Which handovers are asked for: the last ``limit`` ones that began at ``since`` (a Unix time) or later."""

    limit: int
    since: float = 0.0

    def select(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return those of ``records`` that are asked for, the oldest first."""
        wanted = (dict(record) for record in records if record["began"] >= self.since)
        # By their IDs: a clock can be set back.
        return sorted(wanted, key=lambda record: record["id"])[-self.limit :]


def _short(value: object) -> object:
    text = json.dumps(value)
    return value if len(text) <= LONGEST_VALUE else shortened(value if isinstance(value, str) else text, LONGEST_VALUE)
