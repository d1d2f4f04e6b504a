"""Puts together what listens to a hookbot, and what is one."""

from __future__ import annotations

from functools import partial
from typing import Any

from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.hookbot.trigger import HookbotTrigger, TriggerTarget
from hanoverd.hookbot.websocket import certificates, listen
from hanoverd.images import Source
from hanoverd.spec.hookbot import HookbotSpec
from hanoverd.spec.programs import HookbotServerSpec


def make_hookbot_trigger(spec: HookbotSpec, reactor: Any, source: Source, target: TriggerTarget) -> HookbotTrigger:
    """Make the trigger that calls ``target`` at messages; fails with ``HookbotError`` if the CA file is unusable."""
    connect = partial(listen, reactor, spec.subscription.url, certificates(spec.ca_file))
    return HookbotTrigger(reactor, spec.subscription, connect, source, target)


def assemble_server(spec: HookbotServerSpec, reactor: Any) -> ServerService:
    """Make the server, which listens already; fails with ``HookbotError``."""
    server = Server(reactor, spec.key, spec.github_secret)
    return ServerService(reactor, server, spec.host, spec.port, spec.tls)
