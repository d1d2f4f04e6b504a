"""Waits until a version that was replaced has finished its connections."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.network.conntrack import Conntrack
from hanoverd.runtime.backoff import Backoff, Delays
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import EngineError
from hanoverd.spec.handover import DrainSpec
from hanoverd.versions.version import Running

log = Logger()

#: The waits between two counts of connections.
BETWEEN_COUNTS = Backoff(first=0.1, longest=1.0, factor=1.25)


class Drain:
    """Drains versions, any number at a time."""

    def __init__(self, clock: IReactorTime, engine: Engine, conntrack: Conntrack, spec: DrainSpec) -> None:
        self._clock = clock
        self._engine = engine
        self._conntrack = conntrack
        self._spec = spec

    async def wait(self, old: Running) -> int | None:
        """Wait until ``old`` has no connections, or until the time limit; return how many are left (None: not known).

        Fires at once if it has exited.  Cancel gives up.
        """
        if old.has_exited:
            return None
        begun = self._clock.seconds()
        await self._send_signal(old)
        await self._sleep(old, self._spec.grace)
        delays = Delays(BETWEEN_COUNTS)
        while True:
            # After its exit, another container may have its address, and the connections.
            left = 0 if old.has_exited else await self._conntrack.count(old.addresses)
            remaining = begun + self._spec.timeout - self._clock.seconds()
            if old.has_exited:
                return left
            if left == 0 or remaining <= 0:
                await self._conntrack.forget_finished(old.addresses)
                return left
            await self._sleep(old, min(delays.next(), remaining))

    async def _send_signal(self, old: Running) -> None:
        if self._spec.signal is None:
            return
        try:
            await self._engine.kill(old.container.ref, self._spec.signal)
        except EngineError as error:
            log.warn(
                "{version}: drain signal not sent: {error}",
                event="drain_signal_failed",
                version=old.name,
                error=error,
            )

    async def _sleep(self, old: Running, seconds: float) -> None:
        """Sleep, at most until ``old`` has exited."""
        if old.has_exited:
            return
        sleeping = sleep(self._clock, seconds)
        awake = old.monitor.exit.wait()
        # The first of the two ends the other.
        awake.addCallbacks(lambda _: sleeping.cancel(), lambda _: None)
        sleeping.addErrback(lambda failure: None if old.has_exited else failure)
        try:
            await sleeping
        finally:
            awake.cancel()
