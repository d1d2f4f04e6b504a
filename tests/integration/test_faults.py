"""A short campaign of faults, always the same ones: what can be saved is saved, and the world becomes right again."""

from __future__ import annotations

from tests.faults.campaign import run

FAULTS, SEED = 60, 4


def test_sixty_faults() -> None:
    sums = run(SEED, lambda count: count < FAULTS)
    print(sums)
    assert (len(sums.results), sums.wrongly_failed, sums.left) == (FAULTS, 0, [])
