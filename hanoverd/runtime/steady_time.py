"""Makes the reactor use a monotonic clock."""

from __future__ import annotations

import time
from typing import Any


def keep_steady_time(reactor: Any) -> None:
    """Make ``reactor`` measure time with a monotonic clock. Call it before the reactor has any timers.

    Twisted uses the time of day (twisted.python.runtime). If the system's clock is set back by an hour, each timer waits an
    hour longer; if it is set forward, each time limit ends at once.
    """
    reactor.seconds = time.monotonic
