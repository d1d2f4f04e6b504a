"""What a handover is to bring up."""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.model.container import Recipe


@dataclass(frozen=True)
class FromSource:
    """What the app's source has: of ``revision`` (a commit), else the newest."""

    revision: str | None = None


@dataclass(frozen=True)
class NamedImage:
    """For this once, an image by name instead."""

    reference: str


@dataclass(frozen=True)
class Earlier:
    """The version of a generation that is kept, else the last one before the live one, as it was."""

    generation: int | None = None


@dataclass(frozen=True)
class Again:
    """Another of the same."""

    recipe: Recipe


Wish = FromSource | NamedImage | Earlier | Again
