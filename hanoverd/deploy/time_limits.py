"""The time limits of an app's life that are not options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimits:
    """All in seconds.

    ``adoption_ready``: for a version that serves already to pass its readiness check.  ``removal``: how long a handover, or a
    stop, waits for a removal.  ``last_output``: for the rest of a container's output after its exit.
    """

    adoption_ready: float = 5.0
    removal: float = 10.0
    last_output: float = 2.0


DEFAULT_LIMITS = TimeLimits()
