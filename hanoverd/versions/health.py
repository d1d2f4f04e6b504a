"""Asks a container over HTTP whether it is ready, with treq."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint, ITransport
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, RequestGenerationFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.versions.connect_race import ConnectReactor, RacingEndpoint

#: How long one probe may take in all, in seconds.
PROBE_WITHIN = 5.0


class TooLate(Exception):
    """A probe took longer than ``PROBE_WITHIN``."""


@dataclass(frozen=True)
class Probe:
    """What one port did when it was asked: whether it ``accepts`` connections, its HTTP ``status`` if it gave one,
    and the whole as ``said``, for the log.
    """

    port: int
    accepts: bool
    status: int | None
    said: str


class Health:
    """Sends GET requests for ``uri`` (which begins with ``/``) straight to containers: past every proxy, following
    no redirect, reading no body, each on a connection of its own.
    """

    def __init__(self, reactor: ConnectReactor, uri: str) -> None:
        self._reactor = reactor
        self._uri = uri

    async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> Probe:
        """Ask once; fires within ``PROBE_WITHIN`` seconds and fails with nothing but ``CancelledError``.

        ``on_accept`` is called as soon as the port has accepted the connection.  A cancel drops the connection.
        """
        connection = _Connection(self._reactor, address, port, on_accept)
        client = HTTPClient(Agent.usingEndpointFactory(self._reactor, connection))
        request = client.get(
            f"http://{address}:{port}{self._uri}",
            headers=Headers({"User-Agent": [f"hanoverd/{__version__}"]}),
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,  # type: ignore[arg-type]  # treq wants the whole of a reactor
        )
        # Whatever the request made of being cancelled by the timer, it was too late.
        request.addTimeout(PROBE_WITHIN, self._reactor, onTimeoutCancel=_too_late)
        try:
            response = await settled(request)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # every failure means the same: not yet
            return Probe(port, connection.accepted, None, f"port {port}: {_reason(error)}")
        finally:
            connection.drop()
        status: int = response.code
        return Probe(port, accepts=True, status=status, said=f"port {port}: HTTP status {status}{_where_to(response)}")


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Connection:
    """The one connection of one probe, which tells when it is made, and can be dropped."""

    def __init__(self, reactor: ConnectReactor, address: str, port: int, on_accept: Callable[[], object]) -> None:
        self._endpoint = RacingEndpoint(reactor, address, port, PROBE_WITHIN)
        self._on_accept = on_accept
        self._transport: ITransport | None = None

    @property
    def accepted(self) -> bool:
        return self._transport is not None

    def endpointForURI(self, uri: URI) -> _Connection:  # noqa: ARG002  # IAgentEndpointFactory names it
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        # Or it logs two lines a probe.
        protocolFactory.noisy = False  # type: ignore[attr-defined]  # every Factory has it
        return self._endpoint.connect(protocolFactory).addCallback(self._connected)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.loseConnection()

    def _connected(self, protocol: IProtocol) -> IProtocol:
        self._transport = protocol.transport  # type: ignore[attr-defined]  # every Protocol has one
        self._on_accept()
        return protocol


def _too_late(_result: object, seconds: float) -> Failure:
    return Failure(TooLate(f"no answer within {seconds:g} seconds"))


def _reason(error: Exception) -> str:
    """The innermost reason: Twisted's HTTP client wraps the one that counts."""
    if isinstance(error, (ResponseFailed, RequestGenerationFailed)) and error.args and error.args[0]:
        return _reason(error.args[0][0].value)
    return str(error).strip(". ") or type(error).__name__


def _where_to(response: object) -> str:
    locations = response.headers.getRawHeaders("Location", [])  # type: ignore[attr-defined]
    return f" to {locations[0]} (redirects are not followed)" if locations else ""
