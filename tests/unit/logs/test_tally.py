"""What is counted for the metrics."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.logs.tally import BOUNDS, Durations, Tally


def handover(outcome: str, kind: str = "signal", took: float | None = 2.0, **phases: float) -> dict[str, Any]:
    """The event of the end of a handover."""
    record = {
        "outcome": outcome,
        "asked_by": [{"kind": kind}],
        "phases": [{"phase": name, "seconds": seconds} for name, seconds in phases.items()],
        "took": took,
    }
    return {"event": "handover_ended", "record": record, "log_time": 1000.0}


def test_handovers_are_counted_by_outcome_and_trigger() -> None:
    tally = Tally()
    for event in (handover("live"), handover("live", "hookbot"), handover("live"), handover("failed")):
        tally(event)
    assert tally.handovers == {("live", "signal"): 2, ("live", "hookbot"): 1, ("failed", "signal"): 1}


def test_only_a_version_that_went_live_is_a_success() -> None:
    tally = Tally()
    tally(handover("failed"))
    assert tally.last_success is None
    tally(handover("live"))
    assert tally.last_success == 1000.0


def test_phases_and_whole_handovers_have_durations() -> None:
    tally = Tally()
    tally(handover("live", took=1.5, created=0.01, ready=0.3))
    tally(handover("cancelled", took=None, created=0.02))
    assert {phase: sum(found.counts) for phase, found in tally.phases.items()} == {"created": 2, "ready": 1, "total": 1}


def test_what_happens_to_versions_is_counted() -> None:
    tally = Tally()
    for event in (
        {"event": "drained", "connections": 3},
        {"event": "drained", "connections": None},
        {"event": "exited", "restart_seconds": 0.1},
        {"event": "exited", "restart_seconds": None},
        {"event": "replacing", "restart_seconds": 0.0},
        {"event": "unhealthy"},
        {"event": "other"},
        {"log_format": "without an event"},
    ):
        tally(event)
    counts = (tally.connections_cut, tally.restarts, tally.probe_failures)
    assert counts == (3, 2, 1)


@given(st.lists(st.floats(0, 10_000)))
def test_each_duration_is_counted_below_its_bound(seconds: list[float]) -> None:
    durations = Durations()
    for one in seconds:
        durations.add(one)
    for index, bound in enumerate(BOUNDS):
        assert sum(durations.counts[: index + 1]) == sum(one <= bound for one in seconds)
    assert sum(durations.counts) == len(seconds)
    assert durations.sum == sum(seconds)
