"""What a rollback returns to, and which versions are kept for it.  Pure.

A rollback works like an undo.  Each version remembers its predecessors: the versions that were live before it, the latest
first, each by its *origin*, the number under which its image and settings first ran.

* A deploy adds the live version to the predecessors of the new one.
* A rollback creates a new version that repeats an earlier one and takes over *its* predecessors.  So the next rollback
  returns to what was live before that one: after ``A B C``, two rollbacks run B's image, then A's, each as a new version.
* A deploy after a rollback has the rolled-back version as its first predecessor: a rollback undoes just that deploy.
* A restart repeats a version with its origin and its predecessors: it does not change what a rollback returns to.

A predecessor that is the same as the live version is skipped: a deploy that changed nothing is not worth a rollback.  A
version that was rolled back from is no predecessor, but is kept while there is room, and can be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hanoverd.spec.container import Recipe
from hanoverd.spec.lineage import Lineage


@dataclass(frozen=True)
class Candidate:
    """A version by its number, with what it is made of."""

    number: int
    recipe: Recipe

    @property
    def origin(self) -> int:
        """The number under which its image and settings first ran."""
        origin = self.recipe.lineage.origin
        return self.number if origin is None else origin


def rollback_target(live: Candidate | None, number: int | None, available: Sequence[Candidate]) -> Candidate | None:
    """Return the version that a rollback repeats, None if there is none among ``available``.

    With ``number`` it is that version, or the newest one that repeats it.  Without, it is the first predecessor of ``live``
    that is available and differs from it; if no version is live, the newest one.
    """
    if number is not None:
        return next((one for one in available if one.number == number), _newest_of(number, available))
    if live is None:
        return max(available, key=lambda one: one.number, default=None)
    found = (one for one in _predecessors(live, available) if one is not None)
    return next((one for one in found if not is_same(one.recipe, live.recipe)), None)


def rolled_back(target: Candidate) -> Recipe:
    """Return what a rollback to ``target`` is made of."""
    lineage = replace(target.recipe.lineage, origin=target.origin, is_rollback=True)
    return replace(target.recipe, lineage=lineage)


def deployed(recipe: Recipe, source: str, live: Candidate | None, available: Sequence[Candidate]) -> Recipe:
    """Return what a deploy beside ``live`` is made of: ``recipe``, whose image was obtained from ``source``.

    If no version is live, the available versions are its predecessors.
    """
    if live is None:
        predecessors = _origins(available)
    elif live.recipe.lineage.predecessors is None:
        predecessors = (live.origin, *_origins(_older(live, available)))
    else:
        predecessors = (live.origin, *live.recipe.lineage.predecessors)
    return replace(recipe, lineage=Lineage(predecessors=predecessors, source=source))


def worth_keeping(live: Candidate, available: Sequence[Candidate], most: int) -> list[Candidate]:
    """Return the versions to keep for rollbacks beside ``live``, at most ``most``.

    First its predecessors, except where one would change nothing; then, the newest first, versions that were rolled back
    from.  A predecessor that is not in ``available`` may still be stopping: it is taken for another version.
    """
    kept: list[Candidate] = []
    after: Candidate | None = live
    for one in _predecessors(live, available):
        if one is not None and (after is None or not is_same(one.recipe, after.recipe)):
            kept.append(one)
        after = one
    for one in _newest_first(available):
        if not any(is_same(one.recipe, other.recipe) for other in (live, *kept)):
            kept.append(one)
    return kept[:most]


def is_same(recipe: Recipe, other: Recipe) -> bool:
    """Return whether two versions are the same: the image's ID, whatever its name, and the settings."""
    return (recipe.image.id, recipe.options) == (other.image.id, other.options)


def _predecessors(live: Candidate, available: Sequence[Candidate]) -> Iterator[Candidate | None]:
    """Yield the predecessors, the latest first; None for each that is not available."""
    numbers = live.recipe.lineage.predecessors
    if numbers is None:
        yield from _older(live, available)
        return
    for number in numbers:
        yield _newest_of(number, available)


def _older(live: Candidate, available: Sequence[Candidate]) -> list[Candidate]:
    return [one for one in _newest_first(available) if one.origin < live.origin]


def _newest_of(origin: int, available: Sequence[Candidate]) -> Candidate | None:
    return max((one for one in available if one.origin == origin), key=lambda one: one.number, default=None)


def _newest_first(available: Sequence[Candidate]) -> list[Candidate]:
    return sorted(available, key=lambda one: -one.number)


def _origins(candidates: Sequence[Candidate]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(one.origin for one in _newest_first(candidates)))
