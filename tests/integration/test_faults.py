"""A short campaign of faults, the same ones each time and of all kinds: everything becomes right again without a person."""

from __future__ import annotations

from tests.faults.campaign import run

FAULTS, SEED = 60, 4


def test_hanoverd_recovers_from_sixty_faults() -> None:
    sums = run(SEED, lambda count: count < FAULTS)
    print(sums)
    assert (len(sums.results), [str(result) for result in sums.not_right], sums.left) == (FAULTS, [], [])
