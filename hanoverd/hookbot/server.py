"""The hookbot server: sends messages that are POSTed to ``/pub/TOPIC`` to the websockets at ``/sub/TOPIC``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hanoverd.hookbot.github import push_message
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES, UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.hookbot.tokens import is_valid_token
from hanoverd.hookbot.websocket import Connection, ServerTimeouts, serve_websockets
from hanoverd.spec.hookbot import decoded_path
from hanoverd.text.quoting import quoted

log = Logger()

_UNSAFE = "/unsafe/"

#: The topics of GitHub's webhooks start with this.
_GITHUB = f"{_UNSAFE}github.com/"


@dataclass(frozen=True)
class ServerLimits:
    """Limits of time, in seconds, and of size, in bytes.

    A request may take ``request_timeout``. ``message`` is the largest message, and ``body`` the largest body of a request:
    GitHub's largest webhook, wrapped (GitHub's documentation, "Webhook events and payloads"). A listener is dropped when it
    has not received a message within ``send_timeout``, or when more than ``waiting`` messages or ``waiting_bytes`` wait for
    it.
    """

    request_timeout: float = 60.0
    message: int = MAX_MESSAGE_BYTES
    body: int = 26 * 1024 * 1024
    send_timeout: float = 10.0
    waiting: int = 100
    waiting_bytes: int = 8 * 1024 * 1024


class Server:
    """Receives messages and sends them to its listeners. Tokens are made with ``key``; with ``github_secret``, pushes in
    GitHub's webhooks are published for their branches.
    """

    def __init__(
        self,
        clock: IReactorTime,
        key: str,
        github_secret: str | None,
        limits: ServerLimits = ServerLimits(),  # it is frozen
        timeouts: ServerTimeouts = ServerTimeouts(),  # noqa: B008  # it is frozen
    ) -> None:
        self._clock = clock
        self._key = key
        self._github_secret = github_secret
        self._limits = limits
        self._listeners: dict[str, set[Connection]] = {}
        self._send_timers: dict[Connection, IDelayedCall] = {}
        self._websockets, self._prepare = serve_websockets(clock, self._opened, self._closed, timeouts)

    def site(self) -> Site:
        """Return the site that answers HTTP requests."""
        return _Site(self, self._limits)

    def drop_all(self) -> None:
        """Drop all listeners, at the end of the server."""
        for listeners in list(self._listeners.values()):
            for connection in list(listeners):
                connection.drop()
        for timer in self._send_timers.values():
            timer.cancel()
        self._send_timers.clear()

    # -- requests

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        path = decoded_path(request.path)
        if path.startswith(("/pub/", "/sub/")) and not self._has_valid_token(request, path):
            return _unauthorized(request)
        if path.startswith("/unsafe/sub/") and request.getHeader(UNSAFE_HEADER) != UNSAFE_CONSENT:
            return _answer(request, 400, f"400 Bad Request. {UNSAFE_HEADER} header required.")
        if path.startswith("/pub/"):
            return self._publish(request, path.removeprefix("/pub/"))
        if path.startswith("/unsafe/pub/"):
            return self._publish(request, _UNSAFE + path.removeprefix("/unsafe/pub/"))
        if path.startswith(("/sub/", "/unsafe/sub/")):
            return self._subscribe(request)
        return _answer(request, 404, f"404 Not Found: {quoted(path)} is neither /pub/TOPIC nor /sub/TOPIC")

    def _publish(self, request: Request, topic: str) -> bytes:
        if request.method not in (b"POST", b"PUT"):
            return _answer(request, 405, "405 Method Not Allowed: POST the message")
        extra = (request.args or {}).get(b"extra-metadata", [])
        body = request.content.read() if request.content else b""
        if extra and extra[0] != b"github":
            return _answer(request, 400, "400 Bad Request (bad ?extra-metadata=)")
        if extra:
            body = _wrapped(request, body)
        elif len(body) > self._limits.message:
            return _answer(request, 413, f"413 Content Too Large: at most {self._limits.message} bytes")
        self._send_to_listeners(topic, body)
        return _answer(request, 200, "OK")

    def _subscribe(self, request: Request) -> bytes | int:
        if (request.getHeader("Upgrade") or "").lower() != "websocket":
            return _answer(request, 400, "400 Bad Request: a subscription needs a websocket")
        # The token alone decides who may listen; and the programs of the original hookbot send an invalid Origin.
        request.requestHeaders.removeHeader(b"Origin")
        answered: bytes | int = self._websockets.render(request)
        return answered

    def _has_valid_token(self, request: Request, path: str) -> bool:
        scheme, _, token = (request.getHeader("Authorization") or "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() == "basic":
            try:
                token = base64.b64decode(token, validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return is_valid_token(self._key, path, token)

    # -- messages

    def _send_to_listeners(self, topic: str, body: bytes) -> None:
        """Send a message to all listeners of its topic, and of the topics above it that end with a slash."""
        if not topic.endswith("/"):
            self._send(topic, body)
        recursive = None
        for end in (number for number, char in enumerate(topic) if char == "/"):
            above = topic[: end + 1]
            if above in self._listeners:
                recursive = recursive or topic.encode("utf-8", "surrogateescape") + b"\0" + body
                self._send(above, recursive)
        if self._github_secret is not None and topic.startswith(_GITHUB):
            self._publish_push(body, self._github_secret)

    def _send(self, topic: str, body: bytes) -> None:
        listeners = self._listeners.get(topic)
        if not listeners:
            return
        message = self._prepare(body)
        for connection in list(listeners):
            connection.send(message)
            if connection.is_behind:
                self._limit(connection)

    def _limit(self, connection: Connection) -> None:
        """Drop a listener that is too slow, now or later: it connects again, and knows that it may have missed messages."""
        waiting = connection.waiting
        size = sum(len(message.payload) for message in waiting)
        if len(waiting) > self._limits.waiting or size > self._limits.waiting_bytes:
            self._drop(connection, f"{len(waiting)} messages ({size} bytes) wait for it")
        elif connection not in self._send_timers:
            self._send_timers[connection] = self._clock.callLater(
                self._limits.send_timeout, self._drop_if_behind, connection
            )

    def _drop_if_behind(self, connection: Connection) -> None:
        del self._send_timers[connection]
        if connection.is_behind:
            self._drop(connection, f"it has not received a message within {self._limits.send_timeout:g} seconds")

    def _drop(self, connection: Connection, reason: str) -> None:
        log.warn(
            "hookbot: dropped the slow listener {peer}: {reason}",
            event="listener_dropped",
            peer=connection.peer,
            reason=reason,
        )
        connection.waiting.clear()
        connection.drop()

    def _publish_push(self, body: bytes, secret: str) -> None:
        try:
            push = push_message(body, secret)
        except ValueError as error:
            log.error("hookbot: webhook dropped: {error}", event="webhook_dropped", error=error)
            return
        if push is not None:
            log.info("hookbot: published a push to {topic}", event="push_routed", topic=quoted(push.topic))
            self._send_to_listeners(push.topic, push.body)

    # -- listeners

    def _opened(self, connection: Connection) -> None:
        self._listeners.setdefault(_topic(connection), set()).add(connection)

    def _closed(self, connection: Connection) -> None:
        if not hasattr(connection, "path"):
            return  # The websocket was not opened.
        topic = _topic(connection)
        listeners = self._listeners.get(topic, set())
        listeners.discard(connection)
        if not listeners:
            self._listeners.pop(topic, None)
        timer = self._send_timers.pop(connection, None)
        if timer is not None and timer.active():
            timer.cancel()


def _topic(connection: Connection) -> str:
    path: str = connection.path
    unsafe, _, topic = path.partition("/sub/")
    return (_UNSAFE if unsafe else "") + topic


def _wrapped(request: Request, body: bytes) -> bytes:
    """Return a webhook of GitHub with its headers: the event and the signatures."""
    wrapped: Mapping[str, str] = {
        "Delivery": request.getHeader("X-GitHub-Delivery") or "",
        "Event": request.getHeader("X-GitHub-Event") or "",
        "Payload": base64.b64encode(body).decode(),
        "Signature": request.getHeader("X-Hub-Signature") or "",
        "Signature256": request.getHeader("X-Hub-Signature-256") or "",
    }
    return json.dumps(wrapped, separators=(",", ":")).encode()


def _unauthorized(request: Request) -> bytes:
    request.setHeader("WWW-Authenticate", 'Basic realm="hookbot"')
    return _answer(request, 401, "401 Unauthorized")


def _answer(request: Request, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    return f"{text}\n".encode()


class _Root(Resource):
    """Answers the requests for all paths."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def __init__(self, server: Server) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._server = server

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        return self._server.render(request)


class _Request(Request):
    """Refuses a body that is too large: at the headers if they have its length, or while it is received."""

    _received = 0

    def gotLength(self, length: int | None) -> None:
        """Check the length in the headers; None is for a body in chunks."""
        if length is not None and length > self._max_body:
            self._refuse()
        else:
            super().gotLength(length)  # type: ignore[no-untyped-call]  # as above

    def handleContentChunk(self, data: bytes) -> None:
        """Check the length of what was received."""
        self._received += len(data)
        if self._received > self._max_body:
            self._refuse()
        else:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]  # as above

    @property
    def _max_body(self) -> int:
        site: _Site = self.channel.site  # type: ignore[attr-defined]  # set by Site
        return site.limits.body

    def _refuse(self) -> None:
        channel: HTTPChannel = self.channel
        channel.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        channel.loseConnection()


class _Site(Site):
    """The HTTP server."""

    requestFactory = _Request  # noqa: N815  # Site's name for it
    noisy = False

    def __init__(self, server: Server, limits: ServerLimits) -> None:
        super().__init__(_Root(server), timeout=limits.request_timeout)  # type: ignore[no-untyped-call]  # as above
        self.limits = limits
