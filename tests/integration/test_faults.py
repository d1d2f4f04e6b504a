"""A short campaign of faults, always the same ones: what can be saved is saved, and the world becomes right again."""

from __future__ import annotations

from pathlib import Path

from tests.faults.campaign import Campaign
from tests.lab.host import Lab

FAULTS, SEED = 40, 4


def test_forty_faults(lab: Lab, app_folder: Path) -> None:
    sums = Campaign(lab, app_folder, SEED).run(lambda count: count < FAULTS)
    print(sums)
    assert len(sums.results) == FAULTS
    assert sums.wrongly_failed == 0
