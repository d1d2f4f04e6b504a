"""Handovers as timelines."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.web.timeline import WIDTH, bar, full_length, steps
from tests.fakes.app_reports import NOW, handover


def states(outcome: str, **values: Any) -> list[tuple[str, str]]:
    """Return the phases and their states."""
    return [(step.phase, step.state) for step in steps(handover(5, outcome, **values), NOW)]


def test_a_handover_that_is_live_has_all_its_phases_with_their_times() -> None:
    found = steps(handover(5), NOW)
    assert [step.state for step in found] == ["done"] * 5
    assert [step.took for step in found] == ["500ms", "10ms", "200ms", "80ms", "10ms"]


def test_one_in_progress_has_its_current_phase_since_the_last_one_and_those_to_come() -> None:
    found = steps(handover(5, "under way", began=NOW - 5), NOW)
    assert [(step.phase, step.state) for step in found[2:]] == [
        ("started", "current"),
        ("ready", "next"),
        ("routed", "next"),
    ]
    assert found[2].since == NOW - 5 + 0.51
    assert found[2].took == "4s"


def test_one_that_failed_ends_with_the_phase_that_was_not_over_and_its_time() -> None:
    found = steps(handover(5, "failed", took=10.71), NOW)
    assert [(step.phase, step.state, step.took) for step in found[3:]] == [("ready", "failed", "10s")]


def test_a_cancelled_one_ends_with_its_phase_too_and_an_unchanged_one_does_not() -> None:
    assert states("cancelled") == [("obtained", "done"), ("created", "cancelled")]
    assert states("unchanged") == [("obtained", "done")]


def test_one_that_was_interrupted_does_not_count_the_time_until_now() -> None:
    assert steps(handover(5, "interrupted"), NOW)[-1].seconds == 0.0


def test_the_old_version_is_stopped_in_a_phase_of_its_own_if_it_was() -> None:
    phases = [{"phase": "obtained", "seconds": 1.0}, {"phase": "stopped", "seconds": 1.0}]
    assert states("under way", phases=phases)[:3] == [("obtained", "done"), ("stopped", "done"), ("created", "current")]
    assert "stopped" not in dict(states("under way", phases=[]))


def test_a_phase_that_is_not_known_is_shown_by_its_name() -> None:
    [step] = steps(handover(5, phases=[{"phase": "blessed", "seconds": 1.0}]), NOW)
    assert (step.label, step.state) == ("blessed", "done")


def test_one_slow_handover_does_not_make_all_others_invisible() -> None:
    assert full_length([1.0, 1.0, 1.0, 300.0]) == 4.0
    assert full_length([1.0, 2.0]) == 2.0
    assert full_length([0.0]) == full_length([]) == 0.0


@given(
    st.lists(st.floats(0, 1e6), max_size=6),
    st.floats(0, 1e6),
    st.sampled_from(["live", "under way", "failed", "cancelled"]),
)
def test_the_parts_of_a_bar_follow_each_other_and_end_within_it(
    seconds: list[float], longest: float, outcome: str
) -> None:
    record = handover(
        5, outcome, phases=[{"phase": f"phase {number}", "seconds": one} for number, one in enumerate(seconds)]
    )
    end = 0.0
    for part in bar(steps(record, NOW), longest):
        assert part.x >= end - 0.11
        assert part.width >= 0
        end = part.x + part.width
    assert end <= WIDTH + 0.11
