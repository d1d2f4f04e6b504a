"""The reactor's time, by a clock that nobody sets."""

from __future__ import annotations

import time
from typing import Any


def keep_steady_time(reactor: Any) -> None:
    """Have ``reactor`` count seconds from a fixed moment, not those of the day: to be called before it has any timers.

    Twisted takes the time of day (twisted.python.runtime).  Were the system's clock set back by an hour, every timer
    would wait for an hour; set forward, every time limit would be over.
    """
    reactor.seconds = time.monotonic
