"""A short campaign of faults of all kinds, the same in each run: hanoverd recovers from all of them without help."""

from __future__ import annotations

from tests.faults.campaign import run

FAULTS, SEED = 60, 4


def test_hanoverd_recovers_from_sixty_faults() -> None:
    sums = run(SEED, lambda count: count < FAULTS)
    print(sums)
    assert (len(sums.results), [str(result) for result in sums.failures], sums.left) == (FAULTS, [], [])
