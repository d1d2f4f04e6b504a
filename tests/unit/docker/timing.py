"""How long a piece of code takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Return the shortest time of five that ``work`` needs."""
    found = []
    for _ in range(5):
        gc.collect()
        begun = time.thread_time()
        work()
        found.append(time.thread_time() - begun)
    return min(found)
