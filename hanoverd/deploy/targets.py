"""The targets of a handover: what it deploys.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.spec.container import Recipe


@dataclass(frozen=True)
class Source:
    """The app's source: its ``revision`` (a commit), else the newest one."""

    revision: str | None = None


@dataclass(frozen=True)
class Image:
    """An image by name, for this handover only."""

    reference: str


@dataclass(frozen=True)
class Rollback:
    """An earlier version as it was: version ``number``, or the one before the live version."""

    number: int | None = None


@dataclass(frozen=True)
class Restart:
    """Another container of the same recipe."""

    recipe: Recipe


Target = Source | Image | Rollback | Restart
