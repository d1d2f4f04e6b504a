"""The hookbot server as a Twisted service."""

from __future__ import annotations

import resource
import socket
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.logger import Logger

from hanoverd.hookbot.server import Server
from hanoverd.runtime.errors import HookbotError
from hanoverd.runtime.signals import take_signals

log = Logger()


class ServerService(Service):
    """Answers at ``host`` ("": every address) and ``port``, by TLS if there are a certificate's and a key's file.

    Making it listens already, and fails with ``HookbotError``: so a start that fails does so on the terminal.
    """

    def __init__(self, reactor: Any, server: Server, host: str, port: int, tls: tuple[str, str] | None) -> None:
        self._reactor = reactor
        self._server = server
        _allow_many_connections()
        # One socket takes IPv4 too.
        interface = host or ("::" if socket.has_ipv6 else "")
        where = f"{host or '*'}:{port}"
        try:
            if tls is None:
                listening = reactor.listenTCP(port, server.site(), interface=interface)
            else:
                for file in tls:
                    Path(file).open("rb").close()
                context = DefaultOpenSSLContextFactory(tls[1], tls[0])
                context.cacheContext()
                # All that is sent, for clients need what comes between it and the authority.
                context.getContext().use_certificate_chain_file(tls[0])
                listening = reactor.listenSSL(port, server.site(), context, interface=interface)
        except Exception as error:  # noqa: BLE001
            # Twisted's CannotListenError, OpenSSL's own errors, files that are not there.
            raise HookbotError(f"cannot serve hookbot at {where}: {error}") from None
        self._listening: IListeningPort = listening
        self._where = where

    def startService(self) -> None:
        """It listens already."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(take_signals, self._reactor, lambda: None, lambda _: self._reactor.stop())
        log.info("hookbot: listening at {address}", event="hookbot_serving", address=self._where)

    def stopService(self) -> Any:
        """Fire when nobody is connected any more."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopping = maybeDeferred(self._listening.stopListening)
        return stopping.addCallback(lambda _: self._server.drop_all())


def _allow_many_connections() -> None:
    """As many as the system lets this process have: the lower limit is for programs that use select(2)."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
