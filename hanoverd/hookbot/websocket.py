"""Websockets of clients and servers, with autobahn: the only module that imports it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
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
from twisted.logger import Logger
from twisted.web.resource import IResource
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.hookbot.endpoints import Trust, basic_authorization, hookbot_endpoint
from hanoverd.hookbot.flood import RateLimit
from hanoverd.hookbot.limits import ClientTimeouts, ServerTimeouts
from hanoverd.hookbot.open_failure import open_failure
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES, UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import HookbotError
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.spec.hookbot import HookbotURL, decoded_path
from hanoverd.text.addresses import bracketed

#: The longest head of a server's response, in bytes.
_LONGEST_HEAD = 16 * 1024

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
        f"{url.scheme}://{bracketed(url.host)}:{url.port}{url.quoted_path}",
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
    client = _Client(on_open, on_message, on_oversize, RateLimit(*timeouts.frames))
    factory.protocol = lambda: client  # type: ignore[assignment]  # it is only ever called
    try:
        await settled(hookbot_endpoint(reactor, url, trust, timeouts.open).connect(factory))
    except CancelledError:
        client.drop()
        raise
    except Exception as error:  # noqa: BLE001  # an unknown host, a refused connection, TLS
        raise HookbotError(f"cannot connect: {error}") from None
    return await settled(client.ended, client.drop)


class _Quiet:
    """Logs errors only: autobahn warns at whatever its peer does wrong, with the peer's own words."""

    _log = Logger()

    def error(self, text: str, **fields: Any) -> None:
        """Log an error."""
        self._log.error(text, **fields)

    critical = error

    def debug(self, text: str, **fields: Any) -> None:
        """Do not log."""

    trace = info = warn = debug


class _Client(WebSocketClientProtocol):
    """A client's connection to a server."""

    log = _Quiet()

    def __init__(
        self,
        on_open: Callable[[], object],
        on_message: Callable[[bytes], object],
        on_oversize: Callable[[int], object],
        frames: RateLimit,
    ) -> None:
        super().__init__()
        self._frames = frames
        self.ended: Deferred[str] = Deferred()
        self._on_open = on_open
        self._on_whole_message = on_message
        self._on_oversize = on_oversize
        self._was_opened = False
        self._message = bytearray()
        self._size = 0

    def drop(self) -> None:
        """Close the connection without waiting for the server."""
        _abort(getattr(self, "transport", None))

    def dataReceived(self, data: bytes) -> None:
        """Read, unless the head of the server's response does not end."""
        if not self._was_opened and len(self.data) > _LONGEST_HEAD:
            self.failHandshake(f"the head of its response is longer than {_LONGEST_HEAD} bytes")
        else:
            super().dataReceived(data)

    def onFrameBegin(self) -> None:
        """Count the frame."""
        if self._frames.allows(self.factory.reactor.seconds()):
            super().onFrameBegin()
        else:
            self.wasNotCleanReason = "the server sends too many frames"
            self.dropConnection(abort=True)

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
        self._message.clear()
        self._size = 0

    def onMessageFrameBegin(self, length: int) -> None:
        """Start a frame: a message has one or more frames."""

    def onMessageFrameData(self, payload: bytes) -> None:
        """Collect the data, unless the message is too large."""
        self._size += len(payload)
        if self._size <= MAX_MESSAGE_BYTES:
            self._message += payload
        else:
            self._message.clear()

    def onMessageFrameEnd(self) -> None:
        """End a frame."""

    def onMessageEnd(self) -> None:
        """Pass the message on, or report that it is too large."""
        if self._size > MAX_MESSAGE_BYTES:
            self._on_oversize(self._size)
        else:
            self._on_whole_message(bytes(self._message))
        self._message.clear()

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
            self.ended.errback(HookbotError(open_failure(why)))


def _abort(transport: Any) -> None:
    if transport is not None:
        transport.abortConnection()


@implementer(IPushProducer)
class Connection(WebSocketServerProtocol):
    """A listener's connection to the server; made by ``serve_websockets``."""

    log = _Quiet()

    #: Set by ``serve_websockets``.
    opened: Callable[[Connection], object]
    closed: Callable[[Connection], object]
    flooding: Callable[[Connection], object]

    #: Limits what the listener sends.
    frames: RateLimit

    #: Whether the listener has not yet received the last message.
    is_behind = False

    #: Messages that wait until the listener is no longer behind.
    waiting: deque[Any]

    #: How many bytes wait, and how many the last message had that did not wait.
    waiting_bytes = 0
    _last_bytes = 0

    def onConnect(self, request: Any) -> None:
        """Keep the path of the topic."""
        del request
        # Not autobahn's path, which ends at a ";".
        self.path = decoded_path(self.http_request_uri.partition("?")[0].encode("iso-8859-1"))
        self.waiting = deque()

    def onOpen(self) -> None:
        """Report that the websocket is open."""
        # The resource that answered the request for the upgrade is still registered.
        self.unregisterProducer()
        self.registerProducer(self, streaming=True)
        self.opened(self)

    def onFrameBegin(self) -> None:
        """Count the frame: a listener has nothing to send but pings and pongs."""
        if self.frames.allows(self.factory.reactor.seconds()):
            super().onFrameBegin()
        else:
            self.flooding(self)
            self.dropConnection(abort=True)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001  # autobahn's
        """Ignore messages from listeners."""

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the answer would have to wait: a later ping is answered (RFC 6455, 5.5.3)."""
        if not self.is_behind:
            super().onPing(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: FBT001  # autobahn's
        """Report that the connection is closed."""
        del wasClean, code, reason
        self.closed(self)

    @property
    def unsent(self) -> int:
        """How many bytes the listener has not received, at most."""
        return self.waiting_bytes + self._last_bytes if self.is_behind else 0

    def send(self, message: Any) -> None:
        """Send a prepared message, now or when the listener is no longer behind."""
        if self.is_behind:
            self.waiting.append(message)
            self.waiting_bytes += len(message.payload)
        else:
            self._send_now(message)

    def _send_now(self, message: Any) -> None:
        self._last_bytes = len(message.payload)
        self.sendPreparedMessage(message)

    def forget(self) -> None:
        """Forget the messages that wait."""
        self.waiting.clear()
        self.waiting_bytes = 0

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
            message = self.waiting.popleft()
            self.waiting_bytes -= len(message.payload)
            self._send_now(message)

    def stopProducing(self) -> None:
        """Do nothing: the connection is closed."""


def serve_websockets(
    reactor: IReactorTime,
    opened: Callable[[Connection], object],
    closed: Callable[[Connection], object],
    flooding: Callable[[Connection], object],
    timeouts: ServerTimeouts = _SERVER_TIMEOUTS,
    frames: tuple[int, float] = (100, 30.0),
) -> tuple[IResource, Callable[[bytes], Any]]:
    """Return a resource that upgrades requests to websockets, and a function that prepares a message for any number of them.

    ``opened`` and ``closed`` are called with each connection. A listener may send so many ``frames``, within so many
    seconds; then ``flooding`` is called with its connection, which is dropped.
    """

    def connection() -> Connection:
        made = Connection()
        made.opened, made.closed, made.flooding, made.frames = opened, closed, flooding, RateLimit(*frames)
        return made

    factory = WebSocketServerFactory(reactor=reactor)
    factory.noisy = False
    factory.protocol = connection  # type: ignore[assignment]  # as above
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
