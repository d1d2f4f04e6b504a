"""A short campaign with one fault of each kind, the same in each run: hanoverd recovers from all of them without help."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.campaign import run
from tests.faults.faults import FAULTS

SEED = 4


def test_hanoverd_recovers_from_each_kind_of_fault() -> None:
    once = [replace(fault, weight=1) for fault in FAULTS]
    sums = run(SEED, lambda count: count < len(once), faults=once)
    print(sums)
    assert (len(sums.results), [str(result) for result in sums.failures], sums.left) == (len(once), [], [])
