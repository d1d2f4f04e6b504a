"""The last lines of the log, and the lines that follow, for ``hanoverd logs`` and ``hanoverd deploy --wait``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from hanoverd.logs.formats import is_noise, text_of, timestamp

#: How many lines are kept.
MOST = 2000


@implementer(ILogObserver)
class RecentLog:
    """Keeps the last ``MOST`` lines from ``start`` on; ``followers`` are called with each new line."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MOST)
        self.followers: set[Callable[[str], object]] = set()

    @property
    def lines(self) -> list[str]:
        """The lines, the oldest first."""
        return list(self._lines)

    def start(self) -> None:
        """Keep what is logged from now on."""
        globalLogPublisher.addObserver(self)

    def stop(self) -> None:
        """Keep nothing more."""
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Keep an event, and pass it to the followers."""
        if is_noise(event):
            return
        for text in text_of(event).splitlines():
            line = f"{timestamp(event)} {text}"
            self._lines.append(line)
            for follower in list(self.followers):
                follower(line)
