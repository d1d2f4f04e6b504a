"""Publishes messages to a hookbot by HTTP requests."""

from __future__ import annotations

from hanoverd.hookbot.endpoints import Trust, basic_authorization, hookbot_endpoint
from hanoverd.runtime.errors import HookbotError, NotifyFailed
from hanoverd.runtime.posting import post
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.spec.hookbot import HookbotURL

_OK = 200


async def publish(reactor: ClientReactor, url: HookbotURL, trust: Trust, body: bytes) -> None:
    """POST ``body`` to ``url``; fires when hookbot has accepted it.

    Fails with ``HookbotError``. Cancel closes the connection.
    """
    headers = {"Content-Type": "text/plain"}
    if url.token:
        headers["Authorization"] = basic_authorization(url.token)
    try:
        response = await post(reactor, hookbot_endpoint(reactor, url, trust), url.http(), headers, body)
    except NotifyFailed as error:
        raise HookbotError(f"cannot publish to {url}: {error}") from None
    if response.status != _OK:
        raise HookbotError(f"cannot publish to {url}: HTTP status {response.status}: {response.body}")
