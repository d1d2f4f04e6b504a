"""When a version is ready: one port answers 200, and every other accepts connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.concurrency.polling import growing, pause
from hanoverd.edges.health import Health, Probe

#: The only HTTP status that means ready.
OK = 200

#: The first probe is sent at once; the times from one to the next grow between these two, in seconds.
FIRST_WAIT, LONGEST_WAIT = 0.010, 0.250

#: So slowly do they grow that none is longer than the first and 2 % of the time that has passed: what takes long to be
#: ready is found to be so almost as promptly.
GROWTH = 1.02


class Readiness:
    """The probes of one version's ports, at ``address``, until they add up to ready."""

    def __init__(self, health: Health, clock: IReactorTime, address: str, ports: Sequence[int]) -> None:
        self._health = health
        self._clock = clock
        self._address = address
        self._latest = {
            port: Probe(port, accepts=False, status=None, said=f"port {port}: not asked yet") for port in ports
        }
        self._ready: Deferred[None] = Deferred()
        self._telling: IDelayedCall | None = None
        self.probes = 0

    def describe(self) -> str:
        """What each port did last, for the message of a version that never became ready."""
        return "; ".join(probe.said for probe in self._latest.values())

    async def reached(self) -> None:
        """Probe all ports side by side until the version is ready.  Never ends otherwise, but by cancel."""
        pollers = [Deferred.fromCoroutine(self._poll(port)) for port in self._latest]
        for poller in pollers:
            poller.addErrback(self._fail)
        try:
            await self._ready
        finally:
            if self._telling is not None and self._telling.active():
                self._telling.cancel()
            for poller in pollers:
                poller.cancel()
            await uncancellable(gatherResults(pollers))

    async def _poll(self, port: int) -> None:
        for wait in growing(FIRST_WAIT, LONGEST_WAIT, GROWTH):
            self.probes += 1
            due = self._clock.seconds() + wait
            probe = await self._health.probe(self._address, port, lambda: self._accepted(port))
            self._note(probe)
            if probe.status == OK:
                return
            await pause(self._clock, max(0.0, due - self._clock.seconds()))

    def _accepted(self, port: int) -> None:
        self._note(replace(self._latest[port], accepts=True))

    def _note(self, probe: Probe) -> None:
        self._latest[probe.port] = probe
        if is_ready(self._latest.values()) and self._telling is None:
            # Not from here: a poller that runs just now cannot be cancelled.
            self._telling = self._clock.callLater(0, self._ready.callback, None)

    def _fail(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None and not self._ready.called:
            self._ready.errback(failure)


def is_ready(probes: Iterable[Probe]) -> bool:
    """Whether the last probes of all ports mean that the version may take over."""
    latest = list(probes)
    return any(probe.status == OK for probe in latest) and all(probe.accepts for probe in latest)
