"""A handover as a timeline of its phases.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from hanoverd.text.durations import format_duration

#: The phases in their order: as the history names them, and what is done in each.  ``stopped`` is only there if the old version
#: stops first.
PHASES = {
    "obtained": "obtain the image",
    "created": "create the container",
    "stopped": "stop the old version",
    "started": "start",
    "ready": "wait until ready",
    "routed": "route",
}
_OPTIONAL = frozenset({"stopped"})

#: The state of the phase in which a handover has ended early.
_ENDED = {"cancelled": "cancelled"}

#: A bar is full at this many times the usual length: one slow handover must not make all others invisible.
_LONGEST = 4.0

#: How long a bar is, in its own units.
WIDTH = 1000


@dataclass(frozen=True)
class Step:
    """A phase.  ``state`` is ``done``, ``current``, ``failed`` or ``cancelled`` (the handover ended in it) or ``next``.

    ``took`` is for people.  ``since`` is the Unix time when the current phase was started.
    """

    phase: str
    label: str
    state: str
    seconds: float = 0.0
    took: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class Segment:
    """A part of a bar: from ``x``, ``width`` long."""

    phase: str
    state: str
    x: float
    width: float


def steps(record: Mapping[str, Any], now: float) -> tuple[Step, ...]:
    """Return the phases of a handover: finished ones, the current one, and, while it is in progress, the next ones."""
    over = [(str(one["phase"]), float(one["seconds"])) for one in record.get("phases", ())]
    done = [Step(name, PHASES.get(name, name), "done", took, format_duration(took)) for name, took in over]
    if record["outcome"] in ("live", "unchanged"):
        return tuple(done)
    return (*done, *_rest(record, {name for name, _ in over}, sum(took for _, took in over), now))


def bar(found: Sequence[Step], longest: float) -> tuple[Segment, ...]:
    """Return the parts of a bar that is full at ``longest`` seconds."""
    segments = []
    begin = 0.0
    for step in found:
        end = min(begin + step.seconds * WIDTH / longest, float(WIDTH)) if longest else begin
        if end > begin:
            segments.append(Segment(step.phase, step.state, round(begin, 1), round(end - begin, 1)))
        begin = end
    return tuple(segments)


def full_length(lengths: Sequence[float]) -> float:
    """Return at how many seconds bars of these lengths are full; 0 without one."""
    known = [length for length in lengths if length > 0]
    return min(max(known), _LONGEST * median(known)) if known else 0.0


def _rest(record: Mapping[str, Any], over: set[str], spent: float, now: float) -> Iterator[Step]:
    missing = [name for name in PHASES if name not in over and name not in _OPTIONAL]
    outcome = record["outcome"]
    is_over = outcome != "under way"
    for name in missing[:1]:
        began = float(record["began"]) + spent
        length = record.get("took")
        seconds = max(0.0, float(length) - spent) if length is not None else 0.0 if is_over else max(0.0, now - began)
        took = format_duration(seconds) if is_over else format_duration(int(seconds))
        yield Step(name, PHASES[name], _ENDED.get(outcome, "failed") if is_over else "current", seconds, took, began)
    if not is_over:
        yield from (Step(name, PHASES[name], "next") for name in missing[1:])
