"""Counts what happens to an app since hanoverd was started, for its metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from hanoverd.logs import events

#: The upper bounds of the durations that are counted together, in seconds.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

#: The whole handover, beside its phases.
TOTAL = "total"


class Durations:
    """How many durations there were up to each of ``BOUNDS``, and above them all; and their sum, in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


@implementer(ILogObserver)
class Tally:
    """Counts the events that are logged from ``Tally`` being an observer on."""

    def __init__(self) -> None:
        #: The handovers that have ended, by their outcome and the kind of their trigger.
        self.handovers: Counter[tuple[str, str]] = Counter()
        #: How long the phases of all handovers took.
        self.phases: dict[str, Durations] = {}
        #: When the last version went live, as a Unix time; None if none has.
        self.last_success: float | None = None
        self.connections_cut = 0
        self.restarts = 0
        self.probe_failures = 0

    def __call__(self, event: LogEvent) -> None:
        """Count an event."""
        match event.get("event"):
            case events.ENDED:
                self._count_handover(event["record"], event["log_time"])
            case "drained":
                self.connections_cut += event.get("connections") or 0
            case "exited" | "replacing":
                self.restarts += event.get("restart_seconds") is not None
            case "unhealthy":
                self.probe_failures += 1

    def _count_handover(self, record: Mapping[str, Any], now: float) -> None:
        origins = record["asked_by"]
        self.handovers[record["outcome"], origins[0]["kind"] if origins else "other"] += 1
        if record["outcome"] == "live":
            self.last_success = now
        for phase in record["phases"]:
            self.phases.setdefault(phase["phase"], Durations()).add(phase["seconds"])
        if record["took"] is not None:
            self.phases.setdefault(TOTAL, Durations()).add(record["took"])
