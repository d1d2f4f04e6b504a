"""The last lines of the log, and those that come, for whoever asks while the daemon runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.logger import ILogObserver, LogEvent, eventAsText, formatTime, globalLogPublisher
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
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        for line in text.splitlines():
            told = f"{formatTime(event['log_time'])} {line}"
            self._lines.append(told)
            for follower in list(self.followers):
                follower(told)
