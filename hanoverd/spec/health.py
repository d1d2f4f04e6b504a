"""When a version counts as ready, and as alive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HealthSpec:
    """How versions are checked.  Times are in seconds.

    A version is ready when it answers 200 at ``uri``, which is a path with an optional query.  It is removed if that
    takes longer than ``ready_timeout``.  Then it is checked every ``interval`` (0: never), and replaced after
    ``failures`` failed checks in a row.
    """

    uri: str
    ready_timeout: float
    interval: float
    failures: int
