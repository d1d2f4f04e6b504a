"""The monitor of one running container: its output and its exit."""

from __future__ import annotations

import time
from collections.abc import Collection

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.runtime.backoff import Backoff, Delays
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import TimedOut, settles_within, sleep, within
from hanoverd.runtime.errors import EngineError, EngineRefused, NotFound
from hanoverd.spec.run.streams import OUTPUT, Stream
from hanoverd.text.lines import TAIL, LineCutter, Tail, text_of
from hanoverd.versions.output import Output

log = Logger()

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
    """Copies the output of a container to the log, and waits for its exit.  ``close`` or ``detach`` ends it.

    ``name`` is for the log.  ``exit`` settles with the exit code when the container has exited, and not before: requests to an
    engine that is away or answers with an error are retried.  ``since`` is the Unix time from which the output is shown (None:
    from its start).  ``last_output_within`` is the time limit for the rest of the output after the exit, in seconds.  Only
    ``streams`` are logged.

    After the engine was away, the output is shown from the time at which its last piece arrived.  The engine gives a line its
    timestamp before it sends it: if the clocks agree, no line is shown twice.  A line that the engine had read and not sent
    when it went away may be missing.
    """

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        container_id: str,
        name: str,
        since: float | None,
        last_output_within: float = LAST_OUTPUT_WITHIN,
        streams: Collection[Stream] = OUTPUT,
    ) -> None:
        self._clock = clock
        self._last_output_within = last_output_within
        self._engine = engine
        self._id = container_id
        self._name = name
        self._since = since
        self._output = Output(clock, name)
        self._streams = streams
        self._is_reading = False
        #: Whether the last lines may be missing: of a stream that is not logged, or because the time limit was over.
        self._is_cut = len(streams) < len(OUTPUT)
        #: Whether the log driver keeps a log that can be read, as far as that is known.
        self._is_readable = True
        self._ending = Deferred.fromCoroutine(self._wait())
        self.exit = Outcome(self._ending)
        self._following = Deferred.fromCoroutine(self._follow())

    @property
    def tail(self) -> Tail:
        """The last lines of output so far."""
        return self._output.tail

    async def wait_for_output(self) -> None:
        """Wait until all output of an exited container is logged, or until the time limit."""
        await shielded(Deferred.fromCoroutine(within(self._clock, self._last_output_within, self._following)))

    async def last_output(self) -> Tail | None:
        """Return the last lines of an exited container, when its output is complete, or after the time limit.

        They are of both streams.  None if they cannot be known.
        """
        await self.wait_for_output()
        return await self.recent_output()

    async def recent_output(self) -> Tail | None:
        """Return the last lines so far, of both streams; None if they cannot be known.

        If they were not all read, the engine is asked for them: what prints faster than it is read is still being read.
        """
        if not self._is_readable:
            return None
        if not self._is_cut:
            return self.tail
        asking = Deferred.fromCoroutine(self._engine.last_output(self._id, TAIL))
        try:
            output = await within(self._clock, self._last_output_within, asking)
        except (EngineError, TimedOut):
            return self.tail
        tail, cutter = Tail(), LineCutter()
        for line in [*cutter.take(output), *cutter.rest()]:
            tail.add(text_of(line))
        return tail

    async def close(self) -> None:
        """Stop monitoring an exited container: fires when its output is complete and no thread is left.

        Fires at once where the engine is away.  Idempotent.  Ignores cancellation.
        """
        if not self._is_reading:
            self._following.cancel()
        await self.wait_for_output()
        if not self.exit.is_settled:
            self._ending.cancel()
            await shielded(self.exit.wait())

    async def detach(self) -> None:
        """Stop monitoring a container that keeps running: as ``close``, without waiting for more output."""
        self._following.cancel()
        await self.close()

    async def _follow(self) -> None:
        """Log the output until the container has exited.  A cancel ends it."""
        try:
            await self._log_output()
        except CancelledError:
            self._is_cut = True
        finally:
            self._output.finish()

    async def _log_output(self) -> None:
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
                # The container runs all the same.
                self._is_readable = False
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
            self._output.finish()
            await self._sleep(delays.next())

    async def _read(self) -> EngineError | None:
        """Log the output until the stream ends, and return the error that ended it, or None."""
        self._is_reading = True
        try:
            await self._engine.follow_output(self._id, self._since, self._received, self._streams)
        except EngineError as error:
            return error
        else:
            return None
        finally:
            self._is_reading = False

    def _received(self, data: bytes) -> None:
        self._since = time.time()
        self._output.add(data)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, at most until the container has exited."""
        if self.exit.is_settled:
            await sleep(self._clock, seconds)
        else:
            await settles_within(self._clock, seconds, self.exit)

    async def _wait(self) -> int:
        """Return the exit code when the container has exited, however often the engine goes away before."""
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
                # The error is about the engine, or a proxy before it, not about the container.
                pass
            if self._clock.seconds() - begun > BACKOFF.longest:
                delays.reset()
            await sleep(self._clock, delays.next())
