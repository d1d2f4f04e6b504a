"""Publishes to a hookbot, by an HTTP request."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hanoverd.hookbot.websocket import basic, endpoint_of
from hanoverd.runtime.errors import HookbotError, NotifyFailed
from hanoverd.runtime.posting import post
from hanoverd.spec.hookbot import HookbotURL

_OK = 200


async def publish(reactor: Any, url: HookbotURL, trust: Any, body: bytes) -> None:
    """POST ``body`` to ``url``; fires when hookbot has said OK.

    Fails with ``HookbotError``.  Cancel breaks it off.
    """
    agent = Agent.usingEndpointFactory(reactor, _Endpoint(endpoint_of(reactor, url, trust)))
    headers = {"Content-Type": "text/plain"}
    if url.token:
        headers["Authorization"] = basic(url.token)
    try:
        response = await post(reactor, agent, url.http(), headers, body)
    except NotifyFailed as error:
        raise HookbotError(f"cannot publish at {url}: {error}") from None
    if response.status != _OK:
        raise HookbotError(f"cannot publish at {url}: HTTP status {response.status}: {response.body}")


@implementer(IAgentEndpointFactory)
class _Endpoint:
    """Connects to one place only."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        return self._endpoint
