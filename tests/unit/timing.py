"""How the time that a piece of code takes grows with its input."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: How often both are measured at the most.
ROUNDS = 30

#: For ten times the input; it is a hundred for code that takes quadratic time.
MOST = 15


def assert_linear(small: Callable[[], object], large: Callable[[], object]) -> None:
    """Check that ``large``, which has ten times the input of ``small``, takes about ten times as long.

    Other programs only ever make code slower, so the shortest times of several rounds are compared.
    """
    before = after = float("inf")
    for _ in range(ROUNDS):
        before, after = min(before, _seconds(small)), min(after, _seconds(large))
        if after <= MOST * before:
            return
    raise AssertionError(f"{before} s, and {after} s for ten times the input")


def shortest(work: Callable[[], object]) -> float:
    """Return the shortest time of five that ``work`` needs, in seconds."""
    return min(_seconds(work) for _ in range(5))


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
