"""Eyes on one running container: what it prints, and when it ends."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.cancellation import Outcome, uncancellable
from hanoverd.concurrency.polling import growing, pause
from hanoverd.edges.engine import Engine
from hanoverd.errors import EngineError, EngineUnreachable, NotFound

log = Logger()

#: How many of its last lines are kept.
TAIL = 20

#: How long the rest of a container's output may take to arrive once the container has ended, in seconds.
LAST_OUTPUT_WITHIN = 2.0

#: The exit code by which the engine reports SIGKILL.
KILLED = 128 + 9


class Watch:
    """Copies the output of a container that was just started to the log, and waits for its end.

    ``exit`` is over, with the exit code, once the container does not run.  Close it to be done with it.
    """

    def __init__(self, clock: IReactorTime, engine: Engine, name: str, since: float | None) -> None:
        self._clock = clock
        self._engine = engine
        self._name = name
        self._lines = _Lines(name)
        self._following = Deferred.fromCoroutine(self._follow(since))
        self._ending = Deferred.fromCoroutine(self._wait())
        self.exit = Outcome(self._ending)

    @property
    def tail(self) -> list[str]:
        """The last ``TAIL`` lines of output so far."""
        return list(self._lines.tail)

    async def all_output(self) -> None:
        """Wait, not long, until what an ended container printed has been logged to its last line."""
        timer = self._clock.callLater(LAST_OUTPUT_WITHIN, self._following.cancel)
        await uncancellable(self._following)
        if timer.active():
            timer.cancel()

    async def close(self) -> None:
        """Look away: fires when no thread is left behind.  Idempotent; cannot be cancelled."""
        await self.all_output()
        if not self.exit.is_over:
            self._ending.cancel()
            await uncancellable(self.exit.wait())

    async def _follow(self, since: float | None) -> None:
        try:
            await self._engine.follow_output(self._name, since, self._lines.take)
        except CancelledError:
            pass
        except EngineError as error:
            # The container is none the worse for it.
            log.warn("the output of {name} is no longer shown: {error}", name=self._name, error=error)
        self._lines.end()

    async def _wait(self) -> int:
        """The exit code once the container has ended, however often the engine goes away meanwhile."""
        for wait in growing(0.1, 5.0, 2.0):
            try:
                return await self._engine.wait(self._name)
            except NotFound:
                return KILLED
            except EngineUnreachable:
                await pause(self._clock, wait)
        raise AssertionError("growing() has no end")


class _Lines:
    """Cuts output into lines for the log, and keeps the last ones."""

    def __init__(self, name: str) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._name = name
        self._rest = b""

    def take(self, data: bytes) -> None:
        """More of the output, cut anywhere."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)

    def end(self) -> None:
        """There is no more: what is left over is a line too."""
        if self._rest:
            self._emit(self._rest)
        self._rest = b""

    def _emit(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode(errors="replace")
        self.tail.append(text)
        log.info("{name}: {line}", name=self._name, line=text)
