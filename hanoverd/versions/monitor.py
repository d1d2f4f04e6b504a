"""The monitor of one running container: what it prints, and when it ends."""

from __future__ import annotations

import time
from collections import deque

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.runtime.backoff import Backoff, Delays
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import settles_within, sleep, within
from hanoverd.runtime.errors import EngineError, EngineRefused, NotFound
from hanoverd.text.lines import LineCutter

log = Logger()

#: How many of its last lines are kept, and how much of each, in characters.
TAIL, TAIL_WIDTH = 20, 1000

#: How long the rest of a container's output may take to arrive once the container has ended, in seconds.
LAST_OUTPUT_WITHIN = 2.0

#: How soon after the end of its output the engine reports the end of a container, in seconds; if it does not, it is
#: only the stream that has ended.
EXIT_WITHIN = 1.0

#: The waits between two requests to an engine that does not answer as it should.
BACKOFF = Backoff(first=0.1, longest=5.0)

#: The exit code by which the engine reports SIGKILL.
KILLED = 128 + 9

#: The engine's status where the container's log driver keeps no log that could be read.
_NOT_IMPLEMENTED = 501


class ContainerMonitor:
    """Copies the output of a container that was just started to the log, and waits for its end.

    The engine is asked by ``container_id``; the log shows ``name``.  ``exit`` is over, with the exit code, once the
    container does not run, and not before: an engine that is away or answers with an error is asked again.  Close it
    to be done with it.

    Where the engine goes away, the output is followed again from the time at which its last piece arrived here.  As the
    engine gives a line its timestamp before it sends it, no line is shown twice while the two clocks agree; a line that
    the engine had read, and not sent, when it went away may be missing.
    """

    def __init__(self, clock: IReactorTime, engine: Engine, container_id: str, name: str, since: float | None) -> None:
        self._clock = clock
        self._engine = engine
        self._id = container_id
        self._name = name
        self._since = since
        self._output = _Output(name)
        self._is_reading = False
        self._ending = Deferred.fromCoroutine(self._wait())
        self.exit = Outcome(self._ending)
        self._following = Deferred.fromCoroutine(self._follow())

    @property
    def tail(self) -> list[str]:
        """The last ``TAIL`` lines of output so far; long ones are cut."""
        return list(self._output.tail)

    async def wait_for_output(self) -> None:
        """Wait, not long, until what an ended container printed has been logged to its last line."""
        await shielded(Deferred.fromCoroutine(within(self._clock, LAST_OUTPUT_WITHIN, self._following)))

    async def close(self) -> None:
        """Look away: fires when no thread is left behind, at once where the engine is away.  Idempotent; ignores
        cancellation.
        """
        if not self._is_reading:
            self._following.cancel()
        await self.wait_for_output()
        if not self.exit.is_settled:
            self._ending.cancel()
            await shielded(self.exit.wait())

    async def detach(self) -> None:
        """As ``close``, for a container that runs on: its output, which has no end, is not waited for."""
        self._following.cancel()
        await self.close()

    async def _follow(self) -> None:
        """Show the output until the container has ended, or it is cancelled."""
        try:
            await self._show_all()
        except CancelledError:
            pass
        finally:
            self._output.end()

    async def _show_all(self) -> None:
        delays = Delays(BACKOFF)
        is_reported = False
        while True:
            had_ended, before = self.exit.is_settled, self._since
            failure = await self._read()
            if self._since != before:
                delays.reset()
                is_reported = False
            if isinstance(failure, NotFound):
                return
            if failure is None:
                if had_ended or await settles_within(self._clock, EXIT_WITHIN, self.exit):
                    return
            elif isinstance(failure, EngineRefused) and failure.status == _NOT_IMPLEMENTED:
                # The container is none the worse for it.
                log.warn(
                    "{version}: output cannot be shown: {error}",
                    event="output_unavailable",
                    version=self._name,
                    error=failure,
                )
                return
            elif not is_reported and not self.exit.is_settled:
                log.warn(
                    "{version}: output not shown for now: {error}",
                    event="output_interrupted",
                    version=self._name,
                    error=failure,
                )
                is_reported = True
            self._output.end()
            await self._sleep(delays.next())

    async def _read(self) -> EngineError | None:
        """Show the output until the stream ends; returns why it ended, None where it came to its end."""
        self._is_reading = True
        try:
            await self._engine.follow_output(self._id, self._since, self._take)
        except EngineError as error:
            return error
        else:
            return None
        finally:
            self._is_reading = False

    def _take(self, data: bytes) -> None:
        self._since = time.time()
        self._output.take(data)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the container has ended."""
        if self.exit.is_settled:
            await sleep(self._clock, seconds)
        else:
            await settles_within(self._clock, seconds, self.exit)

    async def _wait(self) -> int:
        """Return the exit code once the container has ended, however often the engine goes away meanwhile."""
        delays = Delays(BACKOFF)
        while True:
            begun = self._clock.seconds()
            try:
                code = await self._engine.wait(self._id)
                if code >= 0:
                    return code
                # Docker's words for a wait that was broken off (StateStatus in moby's container/state.go).
            except NotFound:
                return KILLED
            except EngineError:
                # Whatever the engine says of itself, or a proxy before it, says nothing of the container.
                pass
            if self._clock.seconds() - begun > BACKOFF.longest:
                delays.reset()
            await sleep(self._clock, delays.next())


class _Output:
    """Logs output line by line, and keeps the last lines."""

    def __init__(self, name: str) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._name = name
        self._lines = LineCutter()

    def take(self, data: bytes) -> None:
        """More of the output, cut anywhere."""
        for line in self._lines.take(data):
            self._emit(line)

    def end(self) -> None:
        """There is no more: what is left over is a line too."""
        for line in self._lines.rest():
            self._emit(line)

    def _emit(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode(errors="replace")
        self.tail.append(text if len(text) <= TAIL_WIDTH else f"{text[:TAIL_WIDTH]}…")
        log.info("{version}  | {line}", event="output", version=self._name, line=text)
