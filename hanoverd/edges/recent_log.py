"""The last lines of the log, and those that come, for whoever asks while the daemon runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent, formatTime, globalLogPublisher
from zope.interface import implementer

#: How many lines are kept.
MOST = 2000


@implementer(ILogObserver)
class RecentLog:
    """Keeps the last ``MOST`` lines from ``start`` on; ``followers`` are called with each one that comes."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MOST)
        self.followers: set[Callable[[str], object]] = set()

    @property
    def lines(self) -> list[str]:
        """The oldest first."""
        return list(self._lines)

    def start(self) -> None:
        """Keep what is logged from now on."""
        globalLogPublisher.addObserver(self)

    def stop(self) -> None:
        """Keep nothing more."""
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Something was logged."""
        text = formatEvent(event) or _traceback(event)
        for line in text.splitlines():
            told = f"{formatTime(event['log_time'])} {line}"
            self._lines.append(told)
            for follower in list(self.followers):
                follower(told)


def _traceback(event: Any) -> str:
    failure = event.get("log_failure")
    return "" if failure is None else str(failure.getTraceback())
