"""Publishes to a hookbot, by an HTTP request."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.concurrency.cancellation import over
from hanoverd.edges.websocket import basic, endpoint_of
from hanoverd.errors import HookbotError
from hanoverd.model.hookbot import HookbotURL

#: How long the whole of it may take, in seconds.
WITHIN = 30.0

#: How much of an answer is worth telling, in bytes.
MOST_SAID = 200

_OK = 200


async def publish(reactor: Any, url: HookbotURL, trust: Any, body: bytes) -> None:
    """POST ``body`` to ``url``; fires when hookbot has said OK.

    Fails with ``HookbotError``.  Cancel breaks it off.
    """
    agent = Agent.usingEndpointFactory(reactor, _Endpoint(endpoint_of(reactor, url, trust)))
    headers = Headers({"User-Agent": [f"hanoverd/{__version__}"], "Content-Type": ["text/plain"]})
    if url.token:
        headers.addRawHeader("Authorization", basic(url.token))
    request = agent.request(b"POST", url.http().encode(), headers, FileBodyProducer(BytesIO(body)))
    request.addTimeout(WITHIN, reactor)
    try:
        response = await over(request)
        reading = _Beginning()
        response.deliverBody(reading)
        await over(reading.ended.addTimeout(WITHIN, reactor), reading.drop)
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever an HTTP client may meet means the same
        raise HookbotError(f"cannot publish at {url}: {error or type(error).__name__}") from None
    if response.code != _OK:
        said = reading.read.decode(errors="replace").strip()
        raise HookbotError(f"cannot publish at {url}: HTTP status {response.code}: {said}")


class _Beginning(Protocol):
    """Keeps the beginning of a body, which is a short message or somebody else's page."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.read = b""

    def drop(self) -> None:
        """End the connection."""
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        self.read += data[: MOST_SAID - len(self.read)]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was all, whole or not."""
        del reason
        if not self.ended.called:
            self.ended.callback(None)


@implementer(IAgentEndpointFactory)
class _Endpoint:
    """Connects to one place only."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        return self._endpoint
