"""When a version is ready: one port answers 200, and every other accepts connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.clock import sleep
from hanoverd.versions.health import Health, ProbeResult

#: The only HTTP status that means ready.
OK = 200


@dataclass(frozen=True)
class Interval:
    """The time from the start of one probe to the start of the next, in seconds.

    It is ``first``, plus ``share`` of the time since the port's answer last changed, and ``longest`` at most.
    """

    first: float
    share: float
    longest: float = 0.250

    def after(self, seconds: float) -> float:
        """Return the interval for a port whose answer last changed so many ``seconds`` ago."""
        return min(self.first + self.share * seconds, self.longest)


#: For a port that refuses connections: an attempt costs a fraction of a millisecond, and the app does not see it.
WHILE_REFUSED = Interval(first=0.001, share=0.005)

#: For a port that accepts connections and does not answer 200 yet: each probe is a request that the app has to answer.
WHILE_NOT_READY = Interval(first=0.010, share=0.02)


class Readiness:
    """Probes the ports of one version, at ``address``, until it is ready."""

    def __init__(self, health: Health, clock: IReactorTime, address: str, ports: Sequence[int]) -> None:
        self._health = health
        self._clock = clock
        self._address = address
        self._latest = {
            port: ProbeResult(port, accepts=False, status=None, summary=f"port {port}: not probed yet")
            for port in ports
        }
        self._ready: Deferred[None] = Deferred()
        self._ready_call: IDelayedCall | None = None
        #: How many probes were sent.
        self.probes = 0

    def describe(self) -> str:
        """Return the last answer of each port, for people."""
        return "; ".join(result.summary for result in self._latest.values())

    async def wait(self) -> None:
        """Probe all ports side by side until the version is ready; there is no time limit.  Cancel stops probing."""
        pollers = [Deferred.fromCoroutine(self._poll(port)) for port in self._latest]
        for poller in pollers:
            poller.addErrback(self._fail)
        try:
            await self._ready
        finally:
            if self._ready_call is not None and self._ready_call.active():
                self._ready_call.cancel()
            for poller in pollers:
                poller.cancel()
            await shielded(gatherResults(pollers))

    async def _poll(self, port: int) -> None:
        accepts, since = False, self._clock.seconds()
        while True:
            self.probes += 1
            started = self._clock.seconds()
            result = await self._health.probe(self._address, port, lambda: self._accepted(port))
            self._note(result)
            if result.status == OK:
                return
            now = self._clock.seconds()
            if result.accepts != accepts:
                accepts, since = result.accepts, now
            interval = WHILE_NOT_READY if accepts else WHILE_REFUSED
            await sleep(self._clock, max(0.0, started + interval.after(now - since) - now))

    def _accepted(self, port: int) -> None:
        self._note(replace(self._latest[port], accepts=True))

    def _note(self, result: ProbeResult) -> None:
        self._latest[result.port] = result
        if is_ready(self._latest.values()) and self._ready_call is None:
            # In the next turn of the reactor: a poller that is running now cannot be cancelled.
            self._ready_call = self._clock.callLater(0, self._ready.callback, None)

    def _fail(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None and not self._ready.called:
            self._ready.errback(failure)


def is_ready(results: Iterable[ProbeResult]) -> bool:
    """Return whether a version with these latest results, one for each port, is ready."""
    latest = list(results)
    return any(result.status == OK for result in latest) and all(result.accepts for result in latest)
