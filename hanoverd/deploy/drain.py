"""Waits until a version that was replaced has finished its connections."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.network.conntrack import Conntrack
from hanoverd.network.udp_flows import UdpFlows
from hanoverd.runtime.backoff import Backoff, Delays
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import EngineError
from hanoverd.spec.handover import DrainSpec
from hanoverd.versions.version import Running

log = Logger()

#: The waits between two counts of connections.
BETWEEN_COUNTS = Backoff(first=0.1, longest=1.0, factor=1.25)


class Drain:
    """Drains versions, any number at a time."""

    def __init__(
        self, clock: IReactorTime, engine: Engine, conntrack: Conntrack, flows: UdpFlows, spec: DrainSpec
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._conntrack = conntrack
        self._flows = flows
        self._spec = spec

    async def wait(self, old: Running, on_first_count: Callable[[int | None], object] = lambda _: None) -> int | None:
        """Wait until ``old`` has no connections, or until the time limit; return how many are left (None: not known).

        UDP flows count as connections until they move to the live version: after ``DrainSpec.udp``, and in any case at the
        end.  ``on_first_count`` takes how many there are at the beginning, after the grace period.  Fires at once if it has
        exited.  Cancel gives up, and fires when the flows have moved.
        """
        moving = Deferred.fromCoroutine(self._move_flows_in_time(old))
        moved = Outcome(moving)
        try:
            return await self._wait(old, on_first_count)
        finally:
            moving.cancel()
            await shielded(moved.wait())
            await self.forget(old)

    async def forget(self, old: Running) -> None:
        """Move the UDP flows that ``old`` still has to the live version.  Idempotent; ignores cancellation."""
        await shielded(Deferred.fromCoroutine(self._flows.move(old)))

    async def _move_flows_in_time(self, old: Running) -> None:
        if self._spec.udp is None:
            return
        try:
            await sleep(self._clock, self._spec.udp)
        except CancelledError:
            return
        await self.forget(old)

    async def _wait(self, old: Running, on_first_count: Callable[[int | None], object]) -> int | None:
        if old.has_exited:
            return None
        begun = self._clock.seconds()
        await self._send_signal(old)
        await self._sleep(old, self._spec.grace)
        delays = Delays(BETWEEN_COUNTS)
        is_first = True
        while True:
            flows_of = self._flows.endpoints_of(old) if self._clock.seconds() < begun + self._spec.timeout else ()
            # After its exit, another container may have its address, and the connections.
            left = 0 if old.has_exited else await self._conntrack.count(old.addresses, flows_of)
            if is_first:
                on_first_count(left)
                is_first = False
            remaining = begun + self._spec.timeout - self._clock.seconds()
            if old.has_exited:
                return left
            # Flows that are left at the time limit are not cut: they move.
            if left == 0 or (remaining <= 0 and not flows_of):
                await self._conntrack.forget_finished(old.addresses)
                return left
            await self._sleep(old, min(delays.next(), max(0.0, remaining)))

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
