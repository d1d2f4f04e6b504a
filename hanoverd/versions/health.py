"""Health probes: HTTP requests to a container, with treq."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint, ITransport
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.limited_reads import LONGEST_REASON, LimitedReads
from hanoverd.text.lines import shortened
from hanoverd.versions.connect_race import ConnectReactor, RacingEndpoint

#: The time limit of a probe, in seconds.
PROBE_TIMEOUT = 5.0


class ProbeTimedOut(Exception):
    """A port did not answer a probe in time."""


@dataclass(frozen=True)
class ProbeResult:
    """The answer of one port: whether it ``accepts`` connections, its HTTP ``status``, None without an answer, and a
    ``summary`` of both for people.
    """

    port: int
    accepts: bool
    status: int | None
    summary: str


class Health:
    """Sends GET requests for ``uri`` (a path that starts with ``/``) to containers.

    Each is sent on a connection of its own, and never through an HTTP proxy; redirects are not followed, and bodies are not
    read. A probe takes ``timeout`` seconds at most, and reads 128 KiB at most.
    """

    def __init__(self, reactor: ConnectReactor, uri: str, timeout: float = PROBE_TIMEOUT) -> None:
        self._reactor = reactor
        self._uri = uri
        self._timeout = timeout

    async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> ProbeResult:
        """Send one request to a port, and return its answer; fails with ``CancelledError`` alone.

        ``on_accept`` is called as soon as the port has accepted the connection.  Cancel closes the connection.
        """
        connection = _Connection(RacingEndpoint(self._reactor, address, port, self._timeout), on_accept)
        limited = LimitedReads(connection)
        client = HTTPClient(Agent.usingEndpointFactory(self._reactor, limited))
        request = client.get(
            f"http://{address}:{port}{self._uri}",
            headers=Headers({"User-Agent": [f"hanoverd/{__version__}"]}),
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,  # type: ignore[arg-type]  # treq wants the whole of a reactor
        )
        # A request that is cancelled by the timer may fail in several ways: all of them are the timeout.
        request.addTimeout(self._timeout, self._reactor, onTimeoutCancel=_timed_out)
        try:
            response = await settled(request)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # every failure means that the port is not ready
            return ProbeResult(port, connection.accepted, None, f"port {port}: {limited.describe(error)}")
        finally:
            connection.close()
        status: int = response.code
        return ProbeResult(
            port, accepts=True, status=status, summary=f"port {port}: HTTP status {status}{_redirect_in(response)}"
        )


@implementer(IStreamClientEndpoint)
class _Connection:
    """The connection of one probe: it calls ``on_accept`` when it is made, and can be closed."""

    def __init__(self, endpoint: IStreamClientEndpoint, on_accept: Callable[[], object]) -> None:
        self._endpoint = endpoint
        self._on_accept = on_accept
        self._transport: ITransport | None = None

    @property
    def accepted(self) -> bool:
        return self._transport is not None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint.connect(protocolFactory).addCallback(self._connected)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.loseConnection()

    def _connected(self, protocol: IProtocol) -> IProtocol:
        self._transport = protocol.transport  # type: ignore[attr-defined]  # every Protocol has one
        self._on_accept()
        return protocol


def _timed_out(_result: object, seconds: float) -> Failure:
    return Failure(ProbeTimedOut(f"no answer within {seconds:g} seconds"))


def _redirect_in(response: object) -> str:
    locations = response.headers.getRawHeaders("Location", [])  # type: ignore[attr-defined]
    return f" to {shortened(locations[0], LONGEST_REASON)} (redirects are not followed)" if locations else ""
