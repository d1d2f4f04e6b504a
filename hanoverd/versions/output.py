"""The output of one container: its lines in the log, as far as the log has room, and its last lines."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hanoverd.runtime.output_limit import OutputLimit, OutputRate
from hanoverd.text.counting import counted
from hanoverd.text.lines import LineCutter, Tail, text_of

log = Logger()

#: How much output of a container is logged.
LIMIT = OutputRate(lines_at_once=10_000, lines=2_000, bytes_at_once=8 * 1024 * 1024, bytes=2 * 1024 * 1024)

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
        self._limit = OutputLimit(clock, LIMIT)
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
        if self._limit.admits(len(line)):
            log.info("{version}  | {line}", event="output", version=self._name, line=text)
        elif self._report is None:
            self._report = self._clock.callLater(REPORT_AFTER, self._report_dropped)

    def _report_dropped(self) -> None:
        self._report = None
        count = self._limit.pop_dropped()
        log.warn(
            "{version}: {lines} of output not logged: it prints more than {most} lines or {megabytes} MiB a second "
            "(`docker logs {version}` shows all)",
            event="output_dropped",
            version=self._name,
            lines=counted(count, "line"),
            most=LIMIT.lines,
            megabytes=LIMIT.bytes // (1024 * 1024),
            count=count,
        )
