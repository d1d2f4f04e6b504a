"""Requests as bytes on a connection, to a hookbot server and to a daemon's control socket."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.server import Site
from zope.interface import implementer

from hanoverd.api.control import Control
from hanoverd.api.server import ControlServer
from hanoverd.history.record import HistoryQuery, Origin
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.tokens import make_token
from hanoverd.logs.recent import RecentLog
from hanoverd.spec.differences import Difference
from tests.fuzz.target import Target

_KEY = "key"

#: Stands for the token of the path, which an input cannot guess.
_TOKEN = b"TOKEN"

_BLANK_LINE = b"\r\n\r\n"


class _Transport(StringTransport):
    """A connection of root, on a socket that knows it."""

    class Socket:
        """The socket of a connection."""

        @staticmethod
        def getsockopt(*_: int) -> bytes:
            """Return the credentials of the client (unix(7))."""
            return struct.pack("3i", os.getpid(), 0, 0)

    socket = Socket()

    #: What reads the connection: the upgrade of a request to a websocket replaces it.
    protocol: Any = None

    def abortConnection(self) -> None:
        """Close the connection."""
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing: there are no packets."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing: there are no packets."""


class _App:
    """What the control server controls, as far as it can be reached."""

    is_stopping = False

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    async def diff(self) -> tuple[str, tuple[Difference, ...]]:
        """Return that nothing differs."""
        return "web-0", ()

    def deploy(
        self,
        image: str | None,
        reason: str,
        ready_timeout: float | None,
        *,
        if_changed: bool = False,
        origin: Origin | None = None,
    ) -> int:
        """Start a handover."""
        self.calls.append(("deploy", image, reason))
        return 1

    def rollback(self, number: int | None, reason: str, origin: Origin | None = None) -> int:
        """Start a handover."""
        self.calls.append(("rollback", number, reason))
        return 1

    async def history(self, query: HistoryQuery) -> list[dict[str, Any]]:
        """Return no handovers."""
        return []

    def is_known(self, _: int) -> bool:
        """Return that no handover is known."""
        return False

    async def cancel(self, why: str) -> None:
        """Cancel nothing."""
        self.calls.append(("cancel", why))

    def pause(self) -> None:
        """Pause."""
        self.calls.append(("pause",))

    def resume(self) -> tuple[str, ...]:
        """Resume."""
        return ()


@contextmanager
def _no_tracebacks() -> Iterator[None]:
    """Fail if an error was logged with its traceback meanwhile: Twisted does so with an error that nothing handled."""
    failures: list[Any] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)
    if failures:
        failures[0].raiseException()


def _answer(site: Any, data: bytes) -> bytes:
    """Send ``data`` on a connection, close it, and return the answers."""
    site.reactor = Clock()
    transport = _Transport(peerAddress=UNIXAddress(None) if site.logPrefix() == "control" else None)
    transport.protocol = site.buildProtocol(None)
    with _no_tracebacks():
        transport.protocol.makeConnection(transport)
        head, blank, rest = data.partition(_BLANK_LINE)
        transport.protocol.dataReceived(head + blank)
        if rest and not transport.disconnecting:
            transport.protocol.dataReceived(rest)
        answer: bytes = transport.value()
        transport.protocol.connectionLost(Failure(ConnectionDone()))
    return answer


def _ask_hookbot(data: bytes) -> bytes:
    server = Server(Clock(), _KEY, "secret")
    target = re.match(rb"\S+ ([^ ?]*)", data)
    path = target[1].decode("utf-8", "surrogateescape") if target else "/"
    answer = _answer(server.factory(), data.replace(_TOKEN, make_token(_KEY, path).encode()))
    server.drop_all()
    return answer


def _ask_daemon(data: bytes) -> tuple[bytes, _App]:
    app = _App()
    sites: list[Site] = []
    ControlServer(Clock(), cast("Control", app), RecentLog(), lambda site: cast("Any", sites.append(site)))
    return _answer(sites[0], data), app


def _check_status(answer: bytes) -> None:
    assert not answer or re.match(rb"HTTP/1\.[01] [1-5]\d\d ", answer), answer[:100]
    assert not re.match(rb"HTTP/1\.\d 50[01] ", answer), answer[:300]


def _check_daemon(_: bytes, result: tuple[bytes, _App]) -> None:
    answer, app = result
    _check_status(answer)
    for call in app.calls:
        json.dumps(call)
        if call[0] == "rollback":
            assert call[1] is None or type(call[1]) is int, call
        assert all(str(part).isprintable() for part in call), call


HOOKBOT = Target(
    "hookbot-request",
    _ask_hookbot,
    lambda _, answer: _check_status(answer),
    words=(
        *(
            "POST /pub/",
            "GET /sub/",
            "/unsafe/sub/",
            "/unsafe/pub/github.com/",
            "?extra-metadata=github",
            "HTTP/1.1\r\n",
        ),
        *("Authorization: Bearer TOKEN\r\n", "Authorization: Basic ", "Content-Length: ", "Transfer-Encoding: chunked"),
        *(
            "Upgrade: websocket\r\n",
            "Sec-WebSocket-Key: ",
            "Content-Type: multipart/form-data; boundary=",
            "%ff",
            "\r\n\r\n",
        ),
        "X-Hookbot-Unsafe-Is-Ok: I understand the security implications\r\n",
    ),
)

CONTROL = Target(
    "control-request",
    _ask_daemon,
    _check_daemon,
    words=(
        *(
            "POST /deploy ",
            "POST /rollback ",
            "GET /logs?",
            "GET /handovers/",
            "GET /events?",
            "Last-Event-ID: ",
            "GET /history ",
            "GET /history?limit=",
            "GET /diff ",
            "HTTP/1.1\r\n",
        ),
        *(
            "tail=",
            "follow=1",
            "since=",
            "output=1",
            "00000000-1-1",
            "source=app",
            "format=json",
            "timestamps=1",
            '{"image":',
            '{"version":',
        ),
        *("Content-Length: ", "\r\n\r\n", "99999999999999999999", "true", "1e999"),
    ),
)
