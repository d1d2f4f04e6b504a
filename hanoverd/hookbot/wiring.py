"""Creates the client and the server of hookbot from their specifications."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hanoverd.hookbot.endpoints import load_trust
from hanoverd.hookbot.limits import ServerLimits
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.hookbot.trigger import HookbotTrigger, TriggerTarget
from hanoverd.hookbot.websocket import listen
from hanoverd.images import Source
from hanoverd.runtime.file_limit import raise_file_limit
from hanoverd.runtime.reactors import ClientReactor, ServerReactor
from hanoverd.spec.hookbot import HookbotSpec
from hanoverd.spec.programs import HookbotServerSpec

#: How many file descriptors the server needs besides its connections: the log, the reactor's own.
_OTHER_DESCRIPTORS = 100


def make_hookbot_trigger(
    spec: HookbotSpec, reactor: ClientReactor, source: Source, target: TriggerTarget
) -> HookbotTrigger:
    """Return the trigger that calls ``target`` at messages; fails with ``HookbotError`` if the CA file is unusable."""
    connect = partial(listen, reactor, spec.subscription.url, load_trust(spec.ca_file))
    return HookbotTrigger(reactor, spec.subscription, connect, source, target)


def assemble_server(spec: HookbotServerSpec, reactor: ServerReactor) -> ServerService:
    """Return the server, which listens already; fails with ``HookbotError``."""
    limits = ServerLimits(per_address=spec.per_address)
    limits = replace(limits, connections=min(limits.connections, raise_file_limit() - _OTHER_DESCRIPTORS))
    server = Server(reactor, spec.key, spec.github_secret, limits)
    return ServerService(reactor, server, spec.host, spec.port, spec.tls)
