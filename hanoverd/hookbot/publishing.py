"""Publishes messages to a hookbot by HTTP requests."""

from __future__ import annotations

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hanoverd.hookbot.endpoints import Trust, basic_authorization, hookbot_endpoint
from hanoverd.runtime.errors import HookbotError, NotifyFailed
from hanoverd.runtime.limited_reads import LimitedReads
from hanoverd.runtime.posting import post
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.spec.hookbot import HookbotURL

_OK = 200

#: The longest response, in bytes: hookbot answers with a line.
_LONGEST_RESPONSE = 64 * 1024


async def publish(reactor: ClientReactor, url: HookbotURL, trust: Trust, body: bytes) -> None:
    """POST ``body`` to ``url``; fires when hookbot has accepted it.

    Fails with ``HookbotError``. Cancel closes the connection.
    """
    endpoint = LimitedReads(hookbot_endpoint(reactor, url, trust), _LONGEST_RESPONSE)
    agent = Agent.usingEndpointFactory(reactor, _EndpointFactory(endpoint))
    headers = {"Content-Type": "text/plain"}
    if url.token:
        headers["Authorization"] = basic_authorization(url.token)
    try:
        response = await post(reactor, agent, url.http(), headers, body)
    except NotifyFailed as error:
        raise HookbotError(f"cannot publish to {url}: {error}") from None
    if response.status != _OK:
        raise HookbotError(f"cannot publish to {url}: HTTP status {response.status}: {response.body}")


@implementer(IAgentEndpointFactory)
class _EndpointFactory:
    """Returns the same endpoint for all URLs."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        return self._endpoint
