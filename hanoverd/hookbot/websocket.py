"""Websockets of clients and servers, with autobahn: the only module that imports it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.resource import IResource
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.hookbot.endpoints import (
    CONNECT_TIMEOUT,
    Trust,
    basic_authorization,
    hookbot_endpoint,
)
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES, UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import HookbotError
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.spec.hookbot import HookbotURL, decoded_path

#: autobahn's reason for an HTTP status other than 101, which it does not provide as a number. autobahn 26.10.2.
_UPGRADE_FAILED = re.compile(r"upgrade failed \[(\d+)\]")

_MEANINGS = {
    401: "the token is for another path, or made with another key: make one with `hanoverd hookbot make-tokens`",
    404: "there is no hookbot at this address, or a proxy does not forward to it",
    400: f"an unsafe topic needs the header {UNSAFE_HEADER}",
}


@dataclass(frozen=True)
class ClientTimeouts:
    """Times in seconds: ``open`` is the time limit for opening the websocket. The client sends a ping after ``ping``
    seconds, up to ``ping_spread`` more or less at random, and drops the connection without an answer within ``pong``. The
    defaults find a dead server within 40 seconds, as hookbot's own client does.
    """

    open: float = CONNECT_TIMEOUT
    ping: float = 15.0
    ping_spread: float = 5.0
    pong: float = 19.0


@dataclass(frozen=True)
class ServerTimeouts:
    """Times in seconds, as for the client; the server has more time."""

    open: float = CONNECT_TIMEOUT
    ping: float = 30.0
    pong: float = 30.0


_CLIENT_TIMEOUTS, _SERVER_TIMEOUTS = ClientTimeouts(), ServerTimeouts()


async def listen(
    reactor: ClientReactor,
    url: HookbotURL,
    trust: Trust,
    on_open: Callable[[], object],
    on_message: Callable[[bytes], object],
    on_oversize: Callable[[int], object],
    timeouts: ClientTimeouts = _CLIENT_TIMEOUTS,
) -> str:
    """Connect to ``url``, and pass each message to ``on_message`` until the connection ends; return why it ended.

    ``on_open`` is called when the websocket is open, and ``on_oversize`` with the size of a message that is too large, in
    bytes; that message is lost. Fails with ``HookbotError`` if the websocket does not open. Cancel drops the connection.
    """
    headers = {UNSAFE_HEADER: UNSAFE_CONSENT} if url.is_unsafe else {}
    if url.token:
        headers["Authorization"] = basic_authorization(url.token)
    factory = WebSocketClientFactory(
        f"{url.scheme}://{url.host if ':' not in url.host else f'[{url.host}]'}:{url.port}{url.quoted_path}",
        headers=headers,
        useragent=f"hanoverd/{__version__}",
        reactor=reactor,
    )
    factory.noisy = False
    factory.setProtocolOptions(
        openHandshakeTimeout=timeouts.open,
        closeHandshakeTimeout=1,
        autoPingInterval=timeouts.ping + random.uniform(-1, 1) * timeouts.ping_spread,  # noqa: S311  # no secret
        autoPingTimeout=timeouts.pong,
        # Only a pong counts: a server may still send although it no longer receives.
        autoPingRestartOnAnyTraffic=False,
    )
    client = _Client(on_open, on_message, on_oversize)
    factory.protocol = lambda: client  # type: ignore[assignment]  # it is only ever called
    try:
        await settled(hookbot_endpoint(reactor, url, trust, timeouts.open).connect(factory))
    except CancelledError:
        client.drop()
        raise
    except Exception as error:  # noqa: BLE001  # an unknown host, a refused connection, TLS
        raise HookbotError(f"cannot connect: {error}") from None
    return await settled(client.ended, client.drop)


class _Client(WebSocketClientProtocol):
    """A client's connection to a server."""

    def __init__(
        self, on_open: Callable[[], object], on_message: Callable[[bytes], object], on_oversize: Callable[[int], object]
    ) -> None:
        super().__init__()
        self.ended: Deferred[str] = Deferred()
        self._on_open = on_open
        self._on_whole_message = on_message
        self._on_oversize = on_oversize
        self._was_opened = False
        self._pieces: list[bytes] = []
        self._size = 0

    def drop(self) -> None:
        """Close the connection without waiting for the server."""
        _abort(getattr(self, "transport", None))

    def failHandshake(self, reason: str) -> None:
        """Keep the reason: autobahn only logs it."""
        self.wasNotCleanReason = reason
        self.dropConnection(abort=True)

    def onOpen(self) -> None:
        """Report that the websocket is open."""
        self._was_opened = True
        self._on_open()

    # Not onMessage: autobahn would keep a message that is too large in memory, or close the connection.

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: FBT001  # autobahn's
        """Start a message."""
        del isBinary
        self._pieces.clear()
        self._size = 0

    def onMessageFrameBegin(self, length: int) -> None:
        """Start a frame: a message has one or more frames."""

    def onMessageFrameData(self, payload: bytes) -> None:
        """Collect the data, unless the message is too large."""
        self._size += len(payload)
        if self._size <= MAX_MESSAGE_BYTES:
            self._pieces.append(bytes(payload))
        else:
            self._pieces.clear()

    def onMessageFrameEnd(self) -> None:
        """End a frame."""

    def onMessageEnd(self) -> None:
        """Pass the message on, or report that it is too large."""
        if self._size > MAX_MESSAGE_BYTES:
            self._on_oversize(self._size)
        else:
            self._on_whole_message(b"".join(self._pieces))
        self._pieces.clear()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: FBT001  # autobahn's
        """Report why the connection has ended."""
        del wasClean, code
        if self.ended.called:
            return
        # autobahn's own reason is more precise.
        why = str(self.wasNotCleanReason or reason or "the server closed it")
        if self._was_opened:
            self.ended.callback(why)
        else:
            self.ended.errback(HookbotError(_open_failure(why)))


def _abort(transport: Any) -> None:
    if transport is not None:
        transport.abortConnection()


def _open_failure(why: str) -> str:
    status = _UPGRADE_FAILED.search(why)
    if status is None:
        return f"the websocket was not opened: {why}"
    meaning = _MEANINGS.get(int(status[1]), "the server has an error, or it is not a hookbot")
    return f"HTTP status {status[1]}: {meaning}"


@implementer(IPushProducer)
class Connection(WebSocketServerProtocol):
    """A listener's connection to the server; made by ``serve_websockets``."""

    #: Set by ``serve_websockets``.
    opened: Callable[[Connection], object]
    closed: Callable[[Connection], object]

    #: Whether the listener has not yet received the last message.
    is_behind = False

    #: Messages that wait until the listener is no longer behind.
    waiting: list[Any]

    def onConnect(self, request: Any) -> None:
        """Keep the path of the topic."""
        del request
        # Not autobahn's path, which ends at a ";".
        self.path = decoded_path(self.http_request_uri.partition("?")[0].encode("iso-8859-1"))
        self.waiting = []

    def onOpen(self) -> None:
        """Report that the websocket is open."""
        # The resource that answered the request for the upgrade is still registered.
        self.unregisterProducer()
        self.registerProducer(self, streaming=True)
        self.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001  # autobahn's
        """Ignore messages from listeners."""

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: FBT001  # autobahn's
        """Report that the connection is closed."""
        del wasClean, code, reason
        self.closed(self)

    def send(self, message: Any) -> None:
        """Send a prepared message, now or when the listener is no longer behind."""
        if self.is_behind:
            self.waiting.append(message)
        else:
            self.sendPreparedMessage(message)

    def drop(self) -> None:
        """Close the connection at once."""
        _abort(self.transport)

    # -- IPushProducer

    def pauseProducing(self) -> None:
        """Stop sending: the socket's buffer is full."""
        self.is_behind = True

    def resumeProducing(self) -> None:
        """Send the waiting messages: the socket's buffer is empty."""
        self.is_behind = False
        while self.waiting and not self.is_behind:
            self.sendPreparedMessage(self.waiting.pop(0))

    def stopProducing(self) -> None:
        """Do nothing: the connection is closed."""


def serve_websockets(
    reactor: IReactorTime,
    opened: Callable[[Connection], object],
    closed: Callable[[Connection], object],
    timeouts: ServerTimeouts = _SERVER_TIMEOUTS,
) -> tuple[IResource, Callable[[bytes], Any]]:
    """Return a resource that upgrades requests to websockets, and a function that prepares a message for any number of them.

    ``opened`` and ``closed`` are called with each connection.
    """
    factory = WebSocketServerFactory(reactor=reactor)
    factory.noisy = False
    factory.protocol = lambda: _with_callbacks(Connection(), opened, closed)  # type: ignore[assignment]  # as above
    # Listeners send only pongs.
    factory.setProtocolOptions(
        maxMessagePayloadSize=4096,
        maxFramePayloadSize=4096,
        autoPingInterval=timeouts.ping,
        autoPingTimeout=timeouts.pong,
        openHandshakeTimeout=timeouts.open,
        closeHandshakeTimeout=1,
        tcpNoDelay=True,
    )
    resource: IResource = WebSocketResource(factory)
    return resource, lambda body: factory.prepareMessage(body, isBinary=True)


def _with_callbacks(connection: Connection, opened: Callable[..., object], closed: Callable[..., object]) -> Connection:
    connection.opened, connection.closed = opened, closed
    return connection
