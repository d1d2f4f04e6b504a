"""HTTP POST requests, with Twisted's HTTP client, and webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS, FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import NotifyFailed
from hanoverd.runtime.limited_reads import LimitedReads
from hanoverd.runtime.reactors import ClientReactor

#: The time limit for the headers of the response, and again for its body, in seconds.
TIMEOUT = 30.0

#: The longest response of a webhook, in bytes; the connection is dropped when it sends more.
LONGEST_RESPONSE = 64 * 1024

#: How many bytes of the response's body are kept for messages.
MOST_KEPT = 200

_SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Response:
    """A response: its status, and the first bytes of its body as text."""

    status: int
    body: str


async def post(clock: IReactorTime, agent: IAgent, url: str, headers: dict[str, str], body: bytes) -> Response:
    """POST ``body`` to ``url``, and return the response, with any status.

    Fails with ``NotifyFailed`` without a response. Cancel closes the connection at once.
    """
    all_headers = {"User-Agent": f"hanoverd/{__version__}", **headers}
    raw = Headers({name: [value] for name, value in all_headers.items()})
    request = agent.request(b"POST", url.encode(), raw, FileBodyProducer(BytesIO(body)))
    try:
        response = await settled(request.addTimeout(TIMEOUT, clock))
        reader = _BodyReader()
        response.deliverBody(reader)
        await settled(reader.ended.addTimeout(TIMEOUT, clock))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # there is no response, whatever the HTTP client's error
        raise NotifyFailed(str(error) or type(error).__name__) from None
    return Response(response.code, reader.body.decode(errors="replace").strip())


async def post_event(reactor: ClientReactor, url: str, event: bytes) -> None:
    """POST an event as JSON to a webhook; fails with ``NotifyFailed`` unless the status is 2xx."""
    try:
        agent = Agent.usingEndpointFactory(reactor, _LimitedEndpoints(reactor))
        response = await post(reactor, agent, url, {"Content-Type": "application/json"}, event)
    except NotifyFailed as error:
        raise NotifyFailed(f"cannot notify {shown(url)}: {error}") from None
    if response.status not in _SUCCESS:
        raise NotifyFailed(f"cannot notify {shown(url)}: HTTP status {response.status}: {response.body}")


def shown(url: str) -> str:
    """Return ``url`` for the log, without its path and query: they may be the secret that allows to post there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


@implementer(IAgentEndpointFactory)
class _LimitedEndpoints:
    """The endpoints of an ordinary ``Agent``, with a limit for what is received."""

    def __init__(self, reactor: ClientReactor) -> None:
        self._reactor = reactor
        self._policy = BrowserLikePolicyForHTTPS()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return the endpoint for a URL."""
        endpoint: IStreamClientEndpoint = HostnameEndpoint(self._reactor, uri.host, uri.port)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return LimitedReads(endpoint, LONGEST_RESPONSE)


class _BodyReader(Protocol):
    """Keeps the first bytes of a body."""

    def __init__(self) -> None:
        #: Fires at the end of the body; cancel ends the connection.
        self.ended: Deferred[None] = Deferred(lambda _: self._drop())
        self.body = b""

    def _drop(self) -> None:
        # The transport proxy of a response has no abortConnection, and over TLS its loseConnection waits for the server
        # (Twisted 26.10's TransportProxyProducer and TLSMemoryBIOProtocol).
        connection = getattr(self.transport, "_producer", None)
        if connection is not None:
            connection.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Keep the first bytes."""
        self.body += data[: MOST_KEPT - len(self.body)]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Finish: the body has ended, or the connection was lost."""
        del reason
        if not self.ended.called:
            self.ended.callback(None)
