"""When a version is ready, as its ports show it: one port's probe succeeds, or each, and all ports accept connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.clock import sleep
from hanoverd.spec.health import CONFIRM_INTERVAL
from hanoverd.text.counting import counted
from hanoverd.versions.probe import Prober, ProbeResult


class Readiness(Protocol):
    """A check that waits until a version is ready."""

    async def wait(self) -> None:
        """Wait until the version is ready; there is no time limit.  Cancel ends the checks.

        Fails with ``VersionFailed`` if it cannot become ready, and with the ``EngineError`` family.
        """

    def describe(self) -> str:
        """Return why it is not ready yet, for people, to continue "not ready within ...": it begins with a comma or a colon."""


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

    @classmethod
    def always(cls, seconds: float) -> Interval:
        """Return an interval that does not grow."""
        return cls(seconds, share=0, longest=seconds)


#: For a port that refuses connections: an attempt costs a fraction of a millisecond, and the app does not see it.
WHILE_REFUSED = Interval(first=0.001, share=0.005)

#: For a port that accepts connections and does not succeed yet: each probe is a request that the app has to answer.
WHILE_NOT_READY = Interval(first=0.010, share=0.02)

#: For a port that has succeeded, and has to succeed again.
WHILE_CONFIRMING = Interval.always(CONFIRM_INTERVAL)


class PortReadiness:
    """Probes the ports of one version, at ``address``, until it is ready.

    ``probers`` has the prober of each port.  With ``needs_all``, the probe of each port must succeed; else that of one port
    must, and all others must accept connections.  A port must succeed ``successes`` times in a row.  ``interval`` is the
    time from one probe of a port to the next, in seconds; None: it grows.  ``hint`` is added to the description.
    """

    def __init__(
        self,
        clock: IReactorTime,
        address: str,
        probers: Mapping[int, Prober],
        *,
        needs_all: bool = False,
        interval: float | None = None,
        successes: int = 1,
        hint: str = "",
    ) -> None:
        self._clock = clock
        self._address = address
        self._probers = probers
        self._needs_all = needs_all
        self._interval = None if interval is None else Interval.always(interval)
        self._successes = successes
        self._hint = hint
        self._latest = {
            port: ProbeResult(port, accepts=False, succeeded=False, summary=f"port {port}: not probed yet")
            for port in probers
        }
        #: How often each port has succeeded in a row.
        self._in_a_row = dict.fromkeys(probers, 0)
        self._ready: Deferred[None] = Deferred()
        self._ready_call: IDelayedCall | None = None
        #: How many probes were sent.
        self.probes = 0

    def describe(self) -> str:
        """Return the last answer of each port."""
        summaries = "; ".join(self._summary(result) for result in self._latest.values())
        return f", after {counted(self.probes, 'probe')}; the last at {self._address}: {summaries}{self._hint}"

    async def wait(self) -> None:
        """Probe all ports side by side until the version is ready; see ``Readiness``."""
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
            result = await self._probers[port].probe(self._address, port, lambda: self._accepted(port))
            self._in_a_row[port] = self._in_a_row[port] + 1 if result.succeeded else 0
            self._note(result)
            if result.succeeded and self._successes == 1:
                return
            now = self._clock.seconds()
            if result.accepts != accepts:
                accepts, since = result.accepts, now
            interval = self._interval or _interval_after(result)
            await sleep(self._clock, max(0.0, started + interval.after(now - since) - now))

    def _accepted(self, port: int) -> None:
        latest = self._latest[port]
        if not latest.accepts:
            # What it answered to an earlier probe says more.
            latest = replace(
                latest, accepts=True, summary=f"port {port}: accepted the connection, and has not answered"
            )
        self._note(latest)

    def _note(self, result: ProbeResult) -> None:
        self._latest[result.port] = result
        if self._is_ready() and self._ready_call is None:
            # In the next turn of the reactor: a poller that is running now cannot be cancelled.
            self._ready_call = self._clock.callLater(0, self._ready.callback, None)

    def _is_ready(self) -> bool:
        results = [
            replace(result, succeeded=self._in_a_row[port] >= self._successes) for port, result in self._latest.items()
        ]
        return is_ready(results, needs_all=self._needs_all)

    def _summary(self, result: ProbeResult) -> str:
        if not result.succeeded or self._successes == 1:
            return result.summary
        return f"{result.summary} ({self._in_a_row[result.port]} of {self._successes} times in a row)"

    def _fail(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None and not self._ready.called:
            self._ready.errback(failure)


def is_ready(results: Iterable[ProbeResult], *, needs_all: bool = False) -> bool:
    """Return whether a version with these latest results, one for each port, is ready; see ``PortReadiness``."""
    latest = list(results)
    succeeded = [result.succeeded for result in latest]
    return any(succeeded) and all(succeeded if needs_all else [result.accepts for result in latest])


def _interval_after(result: ProbeResult) -> Interval:
    if result.succeeded:
        return WHILE_CONFIRMING
    return WHILE_NOT_READY if result.accepts else WHILE_REFUSED
