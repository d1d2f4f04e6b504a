"""A short campaign of faults, always the same ones, all kinds among them: what can be saved is saved, and the world becomes
right again.
"""

from __future__ import annotations

from tests.faults.campaign import run

FAULTS, SEED = 60, 4


def test_sixty_faults() -> None:
    sums = run(SEED, lambda count: count < FAULTS)
    print(sums)
    assert (len(sums.results), [str(result) for result in sums.not_right], sums.left) == (FAULTS, [], [])
