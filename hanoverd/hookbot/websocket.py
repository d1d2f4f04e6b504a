"""Websockets, with autobahn: the one module that imports it.  A client's connection, and a server's side of one."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IPushProducer, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.web.resource import IResource
from zope.interface import implementer

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import HookbotError
from hanoverd.spec.hookbot import MOST_BYTES, UNSAFE_CONSENT, UNSAFE_HEADER, HookbotURL, decoded_path

#: How long a connection may take until the websocket is open, in seconds.
OPEN_WITHIN = 15.0

#: A client pings after so many seconds of quiet, give or take, and gives up on a peer that does not answer within so
#: many more: a dead one is found within 40 seconds, as by hookbot's own client.
PING_EVERY, PING_SPREAD, PONG_WITHIN = 15.0, 5.0, 19.0

#: The same for a server, which has more time.
SERVER_PING_EVERY, SERVER_PONG_WITHIN = 30, 30

_STATUS = re.compile(r"upgrade failed \[(\d+)\]")

_MEANINGS = {
    401: "the token is not for this path, or made with another key: make one by `hanoverd hookbot make-tokens`",
    404: "there is no hookbot at this address, or a proxy does not lead to it",
    400: f"an unsafe topic needs the header {UNSAFE_HEADER}",
}


def certificates(ca_file: str | None) -> Any:
    """Whom to trust: the authorities in the PEM file ``ca_file``, else the system's.  Fails with ``HookbotError``."""
    if ca_file is None:
        return platformTrust()
    try:
        found = re.findall(
            rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", Path(ca_file).read_bytes(), re.DOTALL
        )
    except OSError as error:
        raise HookbotError(f"cannot read the certificates in {ca_file}: {error.strerror}") from None
    if not found:
        raise HookbotError(f"{ca_file} holds no certificate: it should be a PEM file")
    return trustRootFromCertificates([Certificate.loadPEM(pem) for pem in found])


def endpoint_of(reactor: Any, url: HookbotURL, trust: Any) -> IStreamClientEndpoint:
    """How to connect to the host of ``url``; by TLS, whoever is there has to prove that it is that host."""
    endpoint = HostnameEndpoint(reactor, url.host, url.port, timeout=OPEN_WITHIN)
    if not url.is_secure:
        return endpoint
    tls: IStreamClientEndpoint = wrapClientTLS(optionsForClientTLS(url.host, trustRoot=trust), endpoint)
    return tls


async def listen(
    reactor: Any,
    url: HookbotURL,
    trust: Any,
    on_open: Callable[[], object],
    on_message: Callable[[bytes], object],
    on_oversize: Callable[[int], object],
) -> str:
    """Connect to ``url`` and give each message to ``on_message``, until the connection ends; fires with why it did.

    ``on_open`` is called when the websocket is open; ``on_oversize`` with the size of a message that was too large,
    in bytes, and is lost.  Fails with ``HookbotError`` where it never opens.  A cancel drops the connection.
    """
    headers = {UNSAFE_HEADER: UNSAFE_CONSENT} if url.is_unsafe else {}
    if url.token:
        headers["Authorization"] = basic(url.token)
    factory = WebSocketClientFactory(
        f"{url.scheme}://{url.host if ':' not in url.host else f'[{url.host}]'}:{url.port}{url.quoted_path}",
        headers=headers,
        useragent=f"hanoverd/{__version__}",
        reactor=reactor,
    )
    factory.noisy = False
    factory.setProtocolOptions(
        openHandshakeTimeout=OPEN_WITHIN,
        closeHandshakeTimeout=1,
        autoPingInterval=random.uniform(PING_EVERY - PING_SPREAD, PING_EVERY + PING_SPREAD),  # noqa: S311  # no secret
        autoPingTimeout=PONG_WITHIN,
        # Else any traffic would do, and a peer that sends and does not hear would pass.
        autoPingRestartOnAnyTraffic=False,
    )
    client = _Client(on_open, on_message, on_oversize)
    factory.protocol = lambda: client  # type: ignore[assignment]  # it is only ever called
    try:
        await settled(endpoint_of(reactor, url, trust).connect(factory))
    except CancelledError:
        client.drop()
        raise
    except ConnectError as error:
        raise HookbotError(f"cannot connect: {error}") from None
    except Exception as error:  # noqa: BLE001
        # Names that do not resolve, TLS, and whatever else an endpoint may meet.
        raise HookbotError(f"cannot connect: {error}") from None
    return await settled(client.ended, client.drop)


def basic(token: str) -> str:
    """The header's value for HTTP's basic authentication: the token as user, an empty password (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{token}:'.encode()).decode()}"


class _Client(WebSocketClientProtocol):
    """One connection to a server."""

    def __init__(
        self, on_open: Callable[[], object], on_message: Callable[[bytes], object], on_oversize: Callable[[int], object]
    ) -> None:
        super().__init__()
        self.ended: Deferred[str] = Deferred()
        self._on_opened = on_open
        self._on_whole = on_message
        self._on_oversize = on_oversize
        self._opened = False
        self._pieces: list[bytes] = []
        self._size = 0

    def drop(self) -> None:
        """End the connection without waiting for the peer."""
        _abort(getattr(self, "transport", None))

    def failHandshake(self, reason: str) -> None:
        """Keep the reason, which autobahn only logs, and that without saying of what."""
        self.wasNotCleanReason = reason
        self.dropConnection(abort=True)

    def onOpen(self) -> None:
        """The websocket is open."""
        self._opened = True
        self._on_opened()

    # Not onMessage: a message that is too large would have to be taken in first, or end the connection.

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: FBT001  # autobahn's
        """Begin to take in a message."""
        del isBinary
        self._pieces.clear()
        self._size = 0

    def onMessageFrameBegin(self, length: int) -> None:
        """A message may come in parts."""

    def onMessageFrameData(self, payload: bytes) -> None:
        """Take in some of it."""
        self._size += len(payload)
        if self._size <= MOST_BYTES:
            self._pieces.append(bytes(payload))
        else:
            self._pieces.clear()

    def onMessageFrameEnd(self) -> None:
        """A part is complete."""

    def onMessageEnd(self) -> None:
        """The message is complete."""
        if self._size > MOST_BYTES:
            self._on_oversize(self._size)
        else:
            self._on_whole(b"".join(self._pieces))
        self._pieces.clear()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: FBT001  # autobahn's
        """The connection is gone."""
        del wasClean, code
        if self.ended.called:
            return
        # What autobahn made of it itself is the better account.
        said = str(self.wasNotCleanReason or reason or "it was closed")
        if self._opened:
            self.ended.callback(said)
        else:
            self.ended.errback(HookbotError(_refusal(said)))


def _abort(transport: Any) -> None:
    if transport is not None:
        transport.abortConnection()


def _refusal(said: str) -> str:
    status = _STATUS.search(said)
    if status is None:
        return f"no websocket was opened: {said}"
    meaning = _MEANINGS.get(int(status[1]), "the server is in trouble, or this is no hookbot")
    return f"HTTP status {status[1]}: {meaning}"


@implementer(IPushProducer)
class Connection(WebSocketServerProtocol):
    """The server's side of a listener's connection; made by ``connections``."""

    #: Set by ``connections``.
    opened: Callable[[Connection], object]
    closed: Callable[[Connection], object]

    #: Whether what was sent last has not left yet.
    is_behind = False

    #: What was sent when that was so, and waits.
    waiting: list[Any]

    def onConnect(self, request: Any) -> None:
        """Remember which topic this is about."""
        del request
        # Not autobahn's own account of the path, which lacks what follows a ";".
        self.path = decoded_path(self.http_request_uri.partition("?")[0].encode("iso-8859-1"))
        self.waiting = []

    def onOpen(self) -> None:
        """The websocket is open."""
        # What answered the request for the upgrade is still registered.
        self.unregisterProducer()
        self.registerProducer(self, streaming=True)
        self.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001  # autobahn's
        """Listeners have nothing to say."""

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: FBT001  # autobahn's
        """The connection is gone."""
        del wasClean, code, reason
        self.closed(self)

    def send(self, message: Any) -> None:
        """Send what ``prepared`` made, when there is room for it."""
        if self.is_behind:
            self.waiting.append(message)
        else:
            self.sendPreparedMessage(message)

    def drop(self) -> None:
        """End the connection at once."""
        _abort(self.transport)

    # -- what the transport calls, as the producer's consumer

    def pauseProducing(self) -> None:
        """The kernel takes no more for now."""
        self.is_behind = True

    def resumeProducing(self) -> None:
        """All has left."""
        self.is_behind = False
        while self.waiting and not self.is_behind:
            self.sendPreparedMessage(self.waiting.pop(0))

    def stopProducing(self) -> None:
        """The connection is gone."""


def connections(
    reactor: Any, opened: Callable[[Connection], object], closed: Callable[[Connection], object]
) -> tuple[IResource, Callable[[bytes], Any]]:
    """What upgrades a request to a websocket, calling ``opened`` and ``closed``; and what makes bytes a message for
    any number of them.
    """
    factory = WebSocketServerFactory(reactor=reactor)
    factory.noisy = False
    factory.protocol = lambda: _told(Connection(), opened, closed)  # type: ignore[assignment]  # as above
    # Listeners send nothing that would need room.
    factory.setProtocolOptions(
        maxMessagePayloadSize=4096,
        maxFramePayloadSize=4096,
        autoPingInterval=SERVER_PING_EVERY,
        autoPingTimeout=SERVER_PONG_WITHIN,
        openHandshakeTimeout=OPEN_WITHIN,
        closeHandshakeTimeout=1,
        tcpNoDelay=True,
    )
    resource: IResource = WebSocketResource(factory)
    return resource, lambda body: factory.prepareMessage(body, isBinary=True)


def _told(connection: Connection, opened: Callable[..., object], closed: Callable[..., object]) -> Connection:
    connection.opened, connection.closed = opened, closed
    return connection
