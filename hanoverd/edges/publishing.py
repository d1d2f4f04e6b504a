"""Publishes to a hookbot, by an HTTP request."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, FileBodyProducer, readBody
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
        answer = await over(readBody(response).addTimeout(WITHIN, reactor))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever an HTTP client may meet means the same
        raise HookbotError(f"cannot publish at {url}: {error or type(error).__name__}") from None
    if response.code != _OK:
        said = answer[:200].decode(errors="replace").strip()
        raise HookbotError(f"cannot publish at {url}: HTTP status {response.code}: {said}")


@implementer(IAgentEndpointFactory)
class _Endpoint:
    """Connects to one place only."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        return self._endpoint
