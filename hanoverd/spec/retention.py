"""What is kept of an app: earlier versions, and the live version when hanoverd stops."""

from __future__ import annotations

from dataclasses import dataclass

#: What happens to the live version when hanoverd stops.
ON_EXIT = STOP, KEEP = ("stop", "keep")


@dataclass(frozen=True)
class RetentionSpec:
    """How many stopped ``versions`` are kept for a rollback, and what happens to the live version ``on_exit``."""

    versions: int
    on_exit: str = STOP
