"""Handovers as the page shows them: one, and a page of the history.  Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration
from hanoverd.text.lines import shortened
from hanoverd.text.short_id import short_id
from hanoverd.web.ages import Moment
from hanoverd.web.query import OUTCOMES, PAGE_LENGTH, AppQuery
from hanoverd.web.timeline import Segment, Step, bar, full_length, steps

#: The tone and the word of each outcome.
_TONES = {
    "under way": ("busy", "In progress"),
    "live": ("good", "Live"),
    "failed": ("bad", "Failed"),
    "cancelled": ("idle", "Cancelled"),
    "unchanged": ("idle", "Unchanged"),
    "interrupted": ("warn", "Interrupted"),
}

#: The ID of an image, as a value has it.
_DIGEST = re.compile("sha256:[0-9a-f]{64}")

#: How much of a reason is shown: the last lines of its output, and of each line so many characters.  hanoverd itself records less;
#: ``hanoverd history --no-trunc`` shows all.
_MOST_LINES, _LONGEST_LINE = 50, 1000

#: How much of a value that changed is shown, in characters.
_SHORT_VALUE = 120


@dataclass(frozen=True)
class Change:
    """What differs from the version that was live, with both values."""

    place: str
    live: str
    next: str


@dataclass(frozen=True)
class Handover:
    """A handover.  ``reason`` is the first line of why it ended so, ``output`` are the other ones.

    ``asked`` says what triggered it, and who asked.  ``seconds`` is how long it took, or has taken so far.
    """

    id: int
    outcome: str
    tone: str
    word: str
    version: str
    old: str
    rollback_to: str
    asked: str
    image: str
    image_id: str
    origin: str
    began: Moment
    seconds: float
    took: str
    reason: str
    output: tuple[str, ...]
    steps: tuple[Step, ...]
    changes: tuple[Change, ...] | None
    drained: tuple[str, ...]

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.outcome != "under way"

    @property
    def current(self) -> Step | None:
        """The phase in which it is, or in which it ended early."""
        return next((step for step in self.steps if step.state != "done"), None)


@dataclass(frozen=True)
class Row:
    """A handover in the history, with its bar."""

    handover: Handover
    bar: tuple[Segment, ...]
    is_longer: bool


@dataclass(frozen=True)
class Choice:
    """A link that chooses handovers by their outcome; ``count`` is how many there are, "" if that is not known."""

    word: str
    count: str
    url: str
    is_chosen: bool


@dataclass(frozen=True)
class History:
    """A page of the history, the newest handover first.  ``older`` and ``newest`` are links, "" without such a page."""

    rows: tuple[Row, ...]
    choices: tuple[Choice, ...]
    summary: str
    scale: str
    older: str
    newest: str


def history_of(records: Sequence[Mapping[str, Any]], query: AppQuery, now: float) -> History:
    """Return the page of the history that ``query`` asks for.  ``records`` have the newest one last."""
    wanted = [record for record in reversed(records) if query.outcome in ("", record["outcome"])]
    later = [record for record in wanted if query.before is None or record["id"] < query.before]
    shown = [handover_of(record, now) for record in later[:PAGE_LENGTH]]
    longest = full_length([handover.seconds for handover in shown])
    has_older = len(later) > len(shown)
    return History(
        rows=tuple(Row(one, bar(one.steps, longest), one.seconds > longest) for one in shown),
        choices=tuple(_choices(records, query)),
        summary=_summary(records),
        scale=format_duration(longest) if longest else "",
        older=AppQuery(shown[-1].id, query.outcome).url() if has_older else "",
        newest=AppQuery(None, query.outcome).url() if query.before is not None else "",
    )


def handover_of(record: Mapping[str, Any], now: float) -> Handover:
    """Return what is shown of a handover."""
    outcome = str(record["outcome"])
    tone, word = _TONES.get(outcome, ("idle", outcome))
    is_over, took = outcome != "under way", record.get("took")
    seconds = float(took) if took is not None else 0.0 if is_over else max(0.0, now - float(record["began"]))
    reason, *output = str(record.get("why", "")).split("\n")
    return Handover(
        id=int(record["id"]),
        outcome=outcome,
        tone=tone,
        word=word,
        version=record.get("version", ""),
        old=record.get("old", ""),
        rollback_to=record.get("rollback_to", ""),
        asked=_asked(record),
        image=record.get("image", ""),
        image_id=short_id(record.get("image_id", "")),
        origin=origin_of(record),
        began=Moment.of(float(record["began"]), now),
        seconds=seconds,
        took=format_duration(seconds) if took is not None else "",
        reason=shortened(reason, _LONGEST_LINE),
        output=tuple(shortened(line.removeprefix("    "), _LONGEST_LINE) for line in output[-_MOST_LINES:]),
        steps=steps(record, now),
        changes=_changes(record.get("changes")),
        drained=tuple(_drained(one) for one in record.get("drained", ())),
    )


def origin_of(made: Mapping[str, Any]) -> str:
    """Return what a version, or the version of a handover, was made of."""
    kind, _, digits = str(made.get("revision", "")).rpartition(":")
    short = f"{kind and kind + ':'}{short_id(digits)}"
    source = str(made.get("source", ""))
    return f"{source} ({short})" if source and short else source or short


def _asked(record: Mapping[str, Any]) -> str:
    users = [one["user"] or f"uid {one['uid']}" for one in record.get("asked_by", ()) if one.get("uid") is not None]
    return f"{record.get('trigger', '')}{''.join(f', by {user}' for user in users)}"


def _changes(found: Sequence[Mapping[str, Any]] | None) -> tuple[Change, ...] | None:
    return (
        None
        if found is None
        else tuple(Change(one["place"], _value(one["live"]), _value(one["next"])) for one in found)
    )


def _value(value: object) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return shortened(_DIGEST.sub(lambda found: short_id(found[0]), text), _SHORT_VALUE)


def _drained(one: Mapping[str, Any]) -> str:
    finished, cut = one.get("finished"), one.get("cut")
    after = f"{one['version']} drained for {format_duration(float(one['seconds']))}"
    if finished is None or cut is None:
        return f"{after}; how many connections it had is not known"
    return f"{after}: {counted(int(finished), 'connection')} finished, {cut} cut"


def _choices(records: Sequence[Mapping[str, Any]], query: AppQuery) -> Iterator[Choice]:
    counts = Counter(record["outcome"] for record in records)
    # The first page has the newest handovers only; all of them are asked for when one of these links is followed.
    is_known = query != AppQuery() or not records or records[0]["id"] <= 1
    yield Choice("All", str(len(records)) if is_known else "", AppQuery().url(), not query.outcome)
    for outcome in OUTCOMES:
        if counts[outcome] or query.outcome == outcome or not is_known:
            count = str(counts[outcome]) if is_known else ""
            yield Choice(_TONES[outcome][1], count, AppQuery(None, outcome).url(), query.outcome == outcome)


def _summary(records: Sequence[Mapping[str, Any]]) -> str:
    lengths = [float(one["took"]) for one in records if one["outcome"] == "live" and one.get("took") is not None]
    if not lengths:
        return ""
    return f"A version is usually live after {format_duration(median(lengths))}."
