"""Puts together what listens to a hookbot, and what is one."""

from __future__ import annotations

from functools import partial
from typing import Any

from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.hookbot.trigger import HookbotTrigger, TriggerTarget
from hanoverd.hookbot.websocket import certificates, listen
from hanoverd.images import Source
from hanoverd.spec.hookbot import Subscription
from hanoverd.spec.settings import ServeSettings


def make_hookbot_trigger(
    subscription: Subscription, ca_file: str | None, reactor: Any, source: Source, target: TriggerTarget
) -> HookbotTrigger:
    """What begins ``triggers`` at messages; fails with ``HookbotError`` where ``ca_file`` cannot be used."""
    connect = partial(listen, reactor, subscription.url, certificates(ca_file))
    return HookbotTrigger(reactor, subscription, connect, source, target)


def assemble_server(settings: ServeSettings, reactor: Any) -> ServerService:
    """The server, which listens already; fails with ``HookbotError``."""
    server = Server(reactor, settings.key, settings.github_secret)
    return ServerService(reactor, server, settings.host, settings.port, settings.tls)
