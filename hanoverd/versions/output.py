"""The output of one container: its lines in the log, as far as the log has room, and its last lines."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hanoverd.text.counting import counted
from hanoverd.text.lines import LineCutter, Tail, text_of

log = Logger()

#: How much output of a container is logged: so much at once, and so much per second from then on.
LINES_AT_ONCE, LINES_PER_SECOND = 10_000, 2_000
BYTES_AT_ONCE, BYTES_PER_SECOND = 8 * 1024 * 1024, 2 * 1024 * 1024

#: The time from the first line that is dropped to the message that says how many were, in seconds.
REPORT_AFTER = 5.0


class Output:
    """Logs the output of the container ``name`` line by line, and keeps the last lines.

    Lines of a container that prints more than the log has room for are dropped, and their number is logged.
    """

    def __init__(self, clock: IReactorTime, name: str) -> None:
        #: The last lines, whether they were logged or not.
        self.tail = Tail()
        self._clock = clock
        self._name = name
        self._cutter = LineCutter()
        self._lines = _Allowance(clock, LINES_AT_ONCE, LINES_PER_SECOND)
        self._bytes = _Allowance(clock, BYTES_AT_ONCE, BYTES_PER_SECOND)
        self._dropped = 0
        self._report: IDelayedCall | None = None

    def add(self, data: bytes) -> None:
        """Add a piece of the output, which may end within a line."""
        for line in self._cutter.take(data):
            self._emit(line)

    def finish(self) -> None:
        """Log the rest as a line, and how many lines were dropped: the output has ended, or is interrupted."""
        for line in self._cutter.rest():
            self._emit(line)
        if self._report is not None:
            self._report.cancel()
            self._report_dropped()

    def _emit(self, line: bytes) -> None:
        text = text_of(line)
        self.tail.add(text)
        if self._lines.has(1) and self._bytes.has(len(line)):
            self._lines.take(1)
            self._bytes.take(len(line))
            log.info("{version}  | {line}", event="output", version=self._name, line=text)
            return
        self._dropped += 1
        if self._report is None:
            self._report = self._clock.callLater(REPORT_AFTER, self._report_dropped)

    def _report_dropped(self) -> None:
        self._report = None
        count, self._dropped = self._dropped, 0
        log.warn(
            "{version}: {lines} of output not logged: it prints more than {most} lines or {megabytes} MiB a second "
            "(`docker logs {version}` shows all)",
            event="output_dropped",
            version=self._name,
            lines=counted(count, "line"),
            most=LINES_PER_SECOND,
            megabytes=BYTES_PER_SECOND // (1024 * 1024),
            count=count,
        )


class _Allowance:
    """A token bucket: it holds ``most``, and gains ``per_second``."""

    def __init__(self, clock: IReactorTime, most: float, per_second: float) -> None:
        self._clock = clock
        self._most = most
        self._per_second = per_second
        self._left = most
        self._at = clock.seconds()

    def has(self, count: int) -> bool:
        """Return whether so much is left."""
        now = self._clock.seconds()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        return self._left >= count

    def take(self, count: int) -> None:
        """Use so much."""
        self._left -= count
