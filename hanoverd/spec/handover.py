"""How one version replaces another."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DrainSpec:
    """How a replaced version finishes.  Times are in seconds, counted from the flip.

    It keeps running for ``grace``, and then until its connections are closed, but no longer than ``timeout``.
    ``signal`` is sent to it at the flip; None sends nothing.
    """

    grace: float
    timeout: float
    signal: str | None = None


@dataclass(frozen=True)
class HandoverSpec:
    """A handover.  Times are in seconds.

    The image must be obtained within ``obtain_timeout``.  ``stop_first`` stops the old version before the new one
    starts.  The old version can become live again within ``settle`` of the flip.  With ``if_changed``, a trigger whose
    image and settings are those of the live version changes nothing.
    """

    obtain_timeout: float
    drain: DrainSpec
    stop_first: bool = False
    settle: float = 0.0
    if_changed: bool = False

    @property
    def drain_after_settling(self) -> DrainSpec:
        """The drain, extended so that the old version runs for as long as it can become live again."""
        grace, timeout = (max(seconds, self.settle) for seconds in (self.drain.grace, self.drain.timeout))
        return replace(self.drain, grace=grace, timeout=timeout)
