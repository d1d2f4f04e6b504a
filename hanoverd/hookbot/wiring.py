"""Puts together what listens to a hookbot, and what is one."""

from __future__ import annotations

from functools import partial
from typing import Any

from hanoverd.hookbot.follower import Follower, Triggers
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.hookbot.websocket import certificates, listen
from hanoverd.images import Source
from hanoverd.spec.hookbot import HookbotSpec
from hanoverd.spec.programs import HookbotServerSpec


def make_follower(spec: HookbotSpec, reactor: Any, source: Source, triggers: Triggers) -> Follower:
    """Make the follower that starts ``triggers`` at messages; fails with ``HookbotError`` if the CA file is unusable."""
    connect = partial(listen, reactor, spec.subscription.url, certificates(spec.ca_file))
    return Follower(reactor, spec.subscription, connect, source, triggers)


def assemble_server(spec: HookbotServerSpec, reactor: Any) -> ServerService:
    """Make the server, which listens already; fails with ``HookbotError``."""
    server = Server(reactor, spec.key, spec.github_secret)
    return ServerService(reactor, server, spec.host, spec.port, spec.tls)
