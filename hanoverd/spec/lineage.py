"""Where a version comes from: what it repeats, and which versions were live before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hanoverd.text.decimal import parse_decimal

#: Labels of a version's container.
ORIGIN, ROLLBACK, PREDECESSORS, SOURCE = (
    "hanoverd.origin",
    "hanoverd.rollback",
    "hanoverd.predecessors",
    "hanoverd.source",
)

#: How many predecessors a version remembers: a label must not grow without end.
MOST_PREDECESSORS = 50


@dataclass(frozen=True)
class Lineage:
    """A version's place in the history of its app.

    ``origin`` is the number of the version that first ran this image with these settings: the version itself, or the one
    that it restarts or rolls back to; None until its container is created.  ``predecessors`` are the origins of the versions
    that were live before, the latest first; None if the version is of an older hanoverd, which did not record them.
    ``source`` says what its image was made of, for people.
    """

    origin: int | None = None
    is_rollback: bool = False
    predecessors: tuple[int, ...] | None = None
    source: str = ""

    def labels(self) -> dict[str, str]:
        """Return the labels that record it."""
        labels = {ORIGIN: "" if self.origin is None else str(self.origin), ROLLBACK: str(self.is_rollback).lower()}
        if self.predecessors is not None:
            labels[PREDECESSORS] = " ".join(map(str, self.predecessors[:MOST_PREDECESSORS]))
        return {**labels, SOURCE: self.source}

    @classmethod
    def of_labels(cls, labels: Mapping[str, str], number: int) -> Lineage:
        """Return the lineage that the labels of version ``number`` record."""
        origin = parse_decimal(labels.get(ORIGIN, ""))
        return cls(
            origin=number if origin is None else origin,
            is_rollback=labels.get(ROLLBACK) == "true",
            predecessors=_numbers(labels[PREDECESSORS]) if PREDECESSORS in labels else None,
            source=labels.get(SOURCE, ""),
        )


def _numbers(text: str) -> tuple[int, ...]:
    numbers = (parse_decimal(word) for word in text.split())
    return tuple(number for number in numbers if number is not None)
