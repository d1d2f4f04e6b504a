"""HTTP POST requests, with Twisted's HTTP client, and webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer
from twisted.web.http_headers import Headers

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import NotifyFailed
from hanoverd.runtime.limited_reads import LimitedReads
from hanoverd.runtime.reactors import ClientReactor

#: The time limit for the headers of the response, and again for its body, in seconds.
TIMEOUT = 30.0

#: How many bytes of the response's body are read and kept, for messages.
MOST_KEPT = 200

_SUCCESS = range(200, 300)

#: The shortest part of a URL that may be a secret.
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Response:
    """A response: its status, and the first bytes of its body as text."""

    status: int
    body: str


async def post(
    reactor: ClientReactor, endpoint: IStreamClientEndpoint, url: str, headers: dict[str, str], body: bytes
) -> Response:
    """POST ``body`` to ``url`` at ``endpoint``, and return the response, with any status.

    Fails with ``NotifyFailed`` without a response. Cancel closes the connection at once.
    """
    all_headers = {"User-Agent": f"hanoverd/{__version__}", **headers}
    raw = Headers({name: [value] for name, value in all_headers.items()})
    limited = LimitedReads(endpoint)
    agent = Agent.usingEndpointFactory(reactor, limited)
    request = agent.request(b"POST", url.encode(), raw, FileBodyProducer(BytesIO(body)))
    try:
        response = await settled(request.addTimeout(TIMEOUT, reactor))
        reader = _BodyReader()
        response.deliverBody(reader)
        await settled(reader.ended.addTimeout(TIMEOUT, reactor))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # there is no response, whatever the HTTP client's error
        raise NotifyFailed(limited.describe(error)) from None
    return Response(response.code, reader.body.decode(errors="replace").strip())


async def post_event(reactor: ClientReactor, url: str, event: bytes, headers: Mapping[str, str]) -> None:
    """POST an event as JSON, with more ``headers``, to a webhook; fails with ``NotifyFailed`` unless the status is 2xx.

    The error names the host only: the rest of the URL may be the secret that allows to post there.
    """
    try:
        endpoint = _endpoint(reactor, url)
        response = await post(reactor, endpoint, url, {"Content-Type": "application/json", **headers}, event)
    except NotifyFailed as error:
        raise NotifyFailed(f"cannot notify {shown(url)}: {_without_secrets(str(error), url)}") from None
    if response.status not in _SUCCESS:
        answer = _without_secrets(response.body, url)
        raise NotifyFailed(f"cannot notify {shown(url)}: HTTP status {response.status}{answer and f': {answer}'}")


def shown(url: str) -> str:
    """Return ``url`` for the log, without its path and query: they may be the secret that allows to post there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def _endpoint(reactor: ClientReactor, url: str) -> IStreamClientEndpoint:
    """Return an endpoint for the host of ``url``; with https, the host must have a certificate for its name.

    Fails with ``NotifyFailed`` if no host can have this name.
    """
    uri = URI.fromBytes(url.encode())
    host = uri.host.decode()
    endpoint = HostnameEndpoint(reactor, host, uri.port)
    if uri.scheme != b"https":
        return endpoint
    # Late: only an app that notifies over TLS needs the memory for it.
    from twisted.internet.ssl import optionsForClientTLS  # noqa: PLC0415

    try:
        tls: IStreamClientEndpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
    except ValueError as error:
        raise NotifyFailed(f"{host} is not the name of a host: {error}") from None
    return tls


def _without_secrets(text: str, url: str) -> str:
    """Return ``text``, or nothing if it repeats a part of the URL's path or query, as error pages do."""
    parts = urlsplit(url)
    words = re.split(r"[/?&=;]", f"{parts.path}/{parts.query}/{parts.fragment}")
    secrets = {form for word in words for form in (word, unquote(word)) if len(form) >= _SHORTEST_SECRET}
    return "" if any(secret in text for secret in secrets) else text


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
        """Keep the first bytes, and close the connection when there are enough."""
        self.body += data[: MOST_KEPT - len(self.body)]
        if len(self.body) >= MOST_KEPT:
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Finish: the body has ended, or the connection was lost."""
        del reason
        if not self.ended.called:
            self.ended.callback(None)
