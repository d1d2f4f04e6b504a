"""TCP probes: whether a port accepts connections, and keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.versions.connect_race import ConnectReactor, RacingEndpoint
from hanoverd.versions.probe import PROBE_TIMEOUT, ProbeConnection, ProbeResult, timed_out

#: How long a port must keep a connection open, in seconds.  A proxy or an inetd in the container may accept connections
#: before the app does, and then closes them at once.
KEEPS_FOR = 0.1


class TCPProbe:
    """Opens connections, and sends nothing.

    A probe succeeds if the port accepts the connection and, within ``keeps_for`` seconds, sends something or does not close
    it.  It takes ``timeout`` seconds more at most.
    """

    def __init__(self, reactor: ConnectReactor, keeps_for: float = KEEPS_FOR, timeout: float = PROBE_TIMEOUT) -> None:
        self._reactor = reactor
        self._keeps_for = keeps_for
        self._timeout = timeout

    async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> ProbeResult:
        """Open a connection to a port; see ``Prober``."""
        # The endpoint's own time limit, whose message is another one, must not come first.
        endpoint = RacingEndpoint(self._reactor, address, port, self._timeout + 1)
        connection = ProbeConnection(endpoint, on_accept)
        connecting = connection.connect(_factory())
        connecting.addTimeout(self._timeout, self._reactor, onTimeoutCancel=timed_out)
        try:
            protocol = cast("_Connection", await settled(connecting))
            keeps = await self._keeps(protocol)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # every failure means that the port is not ready
            return ProbeResult(port, connection.accepted, succeeded=False, summary=f"port {port}: {_reason(error)}")
        finally:
            connection.close()
        summary = "accepts connections" if keeps else "accepted the connection and closed it at once"
        return ProbeResult(port, accepts=True, succeeded=keeps, summary=f"port {port}: {summary}")

    async def _keeps(self, protocol: _Connection) -> bool:
        if self._keeps_for == 0:
            return True
        try:
            return await within(self._reactor, self._keeps_for, protocol.answered)
        except TimedOut:
            return True


class _Connection(Protocol):
    """``answered`` fires with True when something is received, with False if the connection is closed before."""

    def __init__(self) -> None:
        self.answered: Deferred[bool] = Deferred()

    def dataReceived(self, _data: bytes) -> None:
        self._answer(is_open=True)

    def connectionLost(self, _reason: Failure = connectionDone) -> None:
        self._answer(is_open=False)

    def _answer(self, *, is_open: bool) -> None:
        if not self.answered.called:
            self.answered.callback(is_open)


def _factory() -> Factory[_Connection]:
    factory: Factory[_Connection] = Factory()
    factory.protocol = _Connection
    # Otherwise Twisted logs two lines for each connection.
    factory.noisy = False
    return factory


def _reason(error: Exception) -> str:
    return str(error).strip(". ") or type(error).__name__
