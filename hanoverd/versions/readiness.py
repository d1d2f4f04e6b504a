"""When a version is ready: one port answers 200, and every other accepts connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.clock import sleep
from hanoverd.versions.health import Health, Probe

#: The only HTTP status that means ready.
OK = 200


@dataclass(frozen=True)
class Pace:
    """The time from the start of one probe to the start of the next: ``first`` seconds, plus ``share`` of the time that the
    port has been behaving as it does.
    """

    first: float
    share: float

    def wait(self, seconds: float) -> float:
        """The time to the next probe when the port has behaved the same for so many ``seconds``."""
        return min(self.first + self.share * seconds, LONGEST_WAIT)


#: The longest time from one probe to the next, in seconds.
LONGEST_WAIT = 0.250

#: For a port that accepts no connection: an attempt costs a fraction of a millisecond, and the app does not notice it.
CONNECTING = Pace(first=0.001, share=0.005)

#: For a port that accepts connections and does not answer 200 yet: each probe is a request that the app has to answer.
ASKING = Pace(first=0.010, share=0.02)


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
            await shielded(gatherResults(pollers))

    async def _poll(self, port: int) -> None:
        accepts, since = False, self._clock.seconds()
        while True:
            self.probes += 1
            started = self._clock.seconds()
            probe = await self._health.probe(self._address, port, lambda: self._accepted(port))
            self._note(probe)
            if probe.status == OK:
                return
            now = self._clock.seconds()
            if probe.accepts != accepts:
                accepts, since = probe.accepts, now
            pace = ASKING if accepts else CONNECTING
            await sleep(self._clock, max(0.0, started + pace.wait(now - since) - now))

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
