"""Many daemons on one engine that hand over at the same time do not disturb one another."""

from __future__ import annotations

from pathlib import Path

from tests.lab.crowd import crowd, hand_over_together
from tests.lab.host import Lab

#: ``benchmarks/crowd.py`` runs more of them, and more often.
DAEMONS, WAVES = 6, 2


def test_daemons_that_hand_over_at_the_same_time_lose_no_request(lab: Lab, tmp_path: Path) -> None:
    with crowd(lab, tmp_path, DAEMONS, within=60) as members:
        outcomes = hand_over_together(lab, members, WAVES, pause=0.02, within=60)
    for outcome in outcomes:
        assert (outcome.lost, outcome.errors) == (0, [])
        # No client reached another app, and the clients of each saw it being replaced.
        assert {name.rpartition("-")[0] for name in outcome.answered} == {outcome.member.app}
        assert len(outcome.answered) == WAVES + 1
