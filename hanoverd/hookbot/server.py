"""A hookbot: takes what is POSTed to ``/pub/TOPIC`` and hands it to the websockets that listen to ``/sub/TOPIC``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hanoverd.hookbot.websocket import Connection, connections
from hanoverd.spec.hookbot import MOST_BYTES, UNSAFE_CONSENT, UNSAFE_HEADER, decoded_path, is_token_for, route_github
from hanoverd.text.quoting import quoted

log = Logger()

#: The largest webhook that GitHub sends, and what wrapping it adds (its documentation, "Webhook events and payloads").
MOST_GITHUB_BYTES = 26 * 1024 * 1024

#: A listener that has not taken what was sent to it within so many seconds is dropped, and so is one for which more
#: than so many messages, or bytes, wait.
TAKES_WITHIN, MOST_WAITING, MOST_WAITING_BYTES = 10.0, 100, 8 * 1024 * 1024

#: How long a client may take over a request, in seconds.
REQUEST_WITHIN = 60

_UNSAFE = "/unsafe/"

#: Where GitHub's webhooks are published, as topics.
_GITHUB = f"{_UNSAFE}github.com/"


class Server:
    """The listeners of one hookbot, whose tokens are made with ``key``; GitHub's webhooks are routed if
    ``github_secret`` is given.
    """

    def __init__(self, reactor: Any, key: str, github_secret: str | None) -> None:
        self._clock: IReactorTime = reactor
        self._key = key
        self._github_secret = github_secret
        self._listeners: dict[str, set[Connection]] = {}
        self._late: dict[Connection, IDelayedCall] = {}
        self._websockets, self._prepared = connections(reactor, self._opened, self._closed)

    def site(self) -> Site:
        """What answers HTTP requests."""
        site = _Site(_Root(self), timeout=REQUEST_WITHIN)  # type: ignore[no-untyped-call]  # Twisted's
        site.noisy = False
        return site

    def drop_all(self) -> None:
        """Drop all listeners: the server ends."""
        for listeners in list(self._listeners.values()):
            for connection in list(listeners):
                connection.drop()
        for timer in self._late.values():
            timer.cancel()
        self._late.clear()

    # -- requests

    def render(self, request: Request) -> bytes | int:
        """Answer one."""
        decoded = decoded_path(request.path)
        for prefix, unsafe in (("/pub/", False), ("/unsafe/pub/", True)):
            if decoded.startswith(prefix):
                return self._publish(request, decoded, (_UNSAFE if unsafe else "") + decoded[len(prefix) :], unsafe)
        for prefix, unsafe in (("/sub/", False), ("/unsafe/sub/", True)):
            if decoded.startswith(prefix):
                return self._subscribe(request, decoded, unsafe)
        return _answer(request, 404, f"404 Not Found: {quoted(decoded)} is neither /pub/TOPIC nor /sub/TOPIC")

    def _publish(self, request: Request, path: str, topic: str, unsafe: bool) -> bytes:  # noqa: FBT001
        if not unsafe and not self._is_allowed(request, path):
            return _unauthorized(request)
        if request.method not in (b"POST", b"PUT"):
            return _answer(request, 405, "405 Method Not Allowed: POST what is to be published")
        extra = (request.args or {}).get(b"extra-metadata", [])
        body = request.content.read() if request.content else b""
        if extra and extra[0] != b"github":
            return _answer(request, 400, "400 Bad Request (bad ?extra-metadata=)")
        if extra:
            body = _wrapped(request, body)
        elif len(body) > MOST_BYTES:
            return _answer(request, 413, f"413 Content Too Large: at most {MOST_BYTES} bytes, listeners take no more")
        self._hand_out(topic, body)
        return _answer(request, 200, "OK")

    def _subscribe(self, request: Request, path: str, unsafe: bool) -> bytes | int:  # noqa: FBT001
        if unsafe:
            if request.getHeader(UNSAFE_HEADER) != UNSAFE_CONSENT:
                return _answer(request, 400, f"400 Bad Request. {UNSAFE_HEADER} header required.")
        elif not self._is_allowed(request, path):
            return _unauthorized(request)
        if (request.getHeader("Upgrade") or "").lower() != "websocket":
            return _answer(request, 400, "400 Bad Request: a subscription is a websocket")
        # Who may listen is decided by the token alone; and hookbot's own programs send an Origin that is no URL.
        request.requestHeaders.removeHeader(b"Origin")
        answered: bytes | int = self._websockets.render(request)
        return answered

    def _is_allowed(self, request: Request, path: str) -> bool:
        words = (request.getHeader("Authorization") or "").split()
        if len(words) != 2:  # noqa: PLR2004  # the kind and the credentials
            return False
        given = words[1]
        if words[0].lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                return False
        elif words[0].lower() != "bearer":
            return False
        return is_token_for(self._key, path, given)

    # -- messages

    def _hand_out(self, topic: str, body: bytes) -> None:
        """Send a message to all who listen to its topic, or to one above it that ends in a slash."""
        if not topic.endswith("/"):
            self._send(topic, body)
        recursive = None
        for end in (number for number, char in enumerate(topic) if char == "/"):
            above = topic[: end + 1]
            if above in self._listeners:
                recursive = recursive or topic.encode("utf-8", "surrogateescape") + b"\0" + body
                self._send(above, recursive)
        if self._github_secret is not None and topic.startswith(_GITHUB):
            self._route(body, self._github_secret)

    def _send(self, topic: str, body: bytes) -> None:
        listeners = self._listeners.get(topic)
        if not listeners:
            return
        message = self._prepared(body)
        for connection in list(listeners):
            connection.send(message)
            if connection.is_behind:
                self._mind(connection)

    def _mind(self, connection: Connection) -> None:
        """Drop a listener that does not take what it is sent: it will come again, and knows that it missed something."""
        waiting = connection.waiting
        size = sum(len(message.payload) for message in waiting)
        if len(waiting) > MOST_WAITING or size > MOST_WAITING_BYTES:
            self._drop(connection, f"{len(waiting)} messages ({size} bytes) wait for it")
        elif connection not in self._late:
            self._late[connection] = self._clock.callLater(TAKES_WITHIN, self._look_again, connection)

    def _look_again(self, connection: Connection) -> None:
        del self._late[connection]
        if connection.is_behind:
            self._drop(connection, f"it has not taken what it was sent {TAKES_WITHIN:g} seconds ago")

    def _drop(self, connection: Connection, reason: str) -> None:
        log.warn(
            "hookbot: dropped the slow listener {peer}: {reason}",
            event="listener_dropped",
            peer=connection.peer,
            reason=reason,
        )
        connection.waiting.clear()
        connection.drop()

    def _route(self, body: bytes, secret: str) -> None:
        try:
            route = route_github(body, secret)
        except ValueError as error:
            log.error("hookbot: webhook dropped: {error}", event="webhook_dropped", error=error)
            return
        if route is not None:
            log.info("hookbot: published a push at {topic}", event="push_routed", topic=quoted(route.topic))
            self._hand_out(route.topic, route.body)

    # -- listeners

    def _opened(self, connection: Connection) -> None:
        self._listeners.setdefault(_topic(connection), set()).add(connection)

    def _closed(self, connection: Connection) -> None:
        if not hasattr(connection, "path"):
            return  # It never opened.
        topic = _topic(connection)
        listeners = self._listeners.get(topic, set())
        listeners.discard(connection)
        if not listeners:
            self._listeners.pop(topic, None)
        timer = self._late.pop(connection, None)
        if timer is not None and timer.active():
            timer.cancel()


def _topic(connection: Connection) -> str:
    path: str = connection.path
    unsafe, _, topic = path.partition("/sub/")
    return (_UNSAFE if unsafe else "") + topic


def _wrapped(request: Request, body: bytes) -> bytes:
    """A webhook of GitHub with the headers that tell what it is, and that it is GitHub's."""
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
    """Answers for all paths: topics have any."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def __init__(self, server: Server) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._server = server

    def render(self, request: Request) -> bytes | int:
        """Answer."""
        return self._server.render(request)


class _Request(Request):
    """Refuses what is too large, before it is taken in where its length is told, else when it gets there."""

    _taken_in = 0

    def gotLength(self, length: int | None) -> None:
        """The headers are there; None is for a body that comes in chunks, of any number."""
        if length is not None and length > MOST_GITHUB_BYTES:
            self._refuse()
        else:
            super().gotLength(length)  # type: ignore[no-untyped-call]  # as above

    def handleContentChunk(self, data: bytes) -> None:
        """Some of the body."""
        self._taken_in += len(data)
        if self._taken_in > MOST_GITHUB_BYTES:
            self._refuse()
        else:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]  # as above

    def _refuse(self) -> None:
        channel: HTTPChannel = self.channel
        channel.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        channel.loseConnection()


class _Site(Site):
    requestFactory = _Request  # noqa: N815  # Site's name for it
