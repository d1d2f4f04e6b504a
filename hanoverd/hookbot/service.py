"""The hookbot server as a Twisted service."""

from __future__ import annotations

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
from hanoverd.runtime.reactors import ServerReactor
from hanoverd.runtime.signals import handle_signals

log = Logger()

#: How many connections wait until they are accepted: with fewer, many listeners that connect at once wait for seconds.
_BACKLOG = 1024


class ServerService(Service):
    """Listens at ``host`` ("": all addresses) and ``port``; ``tls`` are the files of the certificate and of the key.

    The constructor listens, and fails with ``HookbotError``, so that an error at the start is printed on the terminal.
    """

    def __init__(
        self, reactor: ServerReactor, server: Server, host: str, port: int, tls: tuple[str, str] | None
    ) -> None:
        self._reactor = reactor
        self._server = server
        # A socket for "::" accepts IPv4, too.
        interface = host or ("::" if socket.has_ipv6 else "")
        address = f"{host or '*'}:{port}"
        try:
            factory: Any = server.factory(_context(*tls) if tls else None)  # Twisted's types do not say so
            listening = reactor.listenTCP(port, factory, _BACKLOG, interface)
        except Exception as error:  # noqa: BLE001  # CannotListenError, OSError, and OpenSSL's errors
            raise HookbotError(f"cannot serve hookbot at {address}: {error}") from None
        self._listening: IListeningPort = listening
        self._address = address

    def startService(self) -> None:
        """Handle the signals; the server listens already."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(handle_signals, self._reactor, lambda: None, lambda _: self._reactor.stop())
        log.info("hookbot: listening at {address}", event="hookbot_serving", address=self._address)

    def stopService(self) -> Any:
        """Stop listening; fires when all connections are closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopping = maybeDeferred(self._listening.stopListening)
        return stopping.addCallback(lambda _: self._server.drop_all())


def _context(certificate: str, key: str) -> DefaultOpenSSLContextFactory:
    """Return the context of a server's TLS connections; fails with OSError, and with OpenSSL's errors."""
    for file in (certificate, key):
        Path(file).open("rb").close()
    context = DefaultOpenSSLContextFactory(key, certificate)
    context.cacheContext()
    # The whole chain: clients need the intermediate certificates.
    context.getContext().use_certificate_chain_file(certificate)
    return context
