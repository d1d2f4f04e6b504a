"""A hookbot server on loopback for tests, with an independent implementation of websockets as its clients."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from websockets.sync.client import ClientConnection, connect

from hanoverd.hookbot.limits import ServerLimits, ServerTimeouts
from hanoverd.hookbot.protocol import UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.tokens import make_token

REACTOR: Any = reactor
KEY = "the key"
SECRET = "GitHub's secret"
UNSAFE = {UNSAFE_HEADER: UNSAFE_CONSENT}


def basic(path: str, key: str = KEY) -> dict[str, str]:
    """The header that allows what is at ``path``."""
    return {"Authorization": "Basic " + base64.b64encode(f"{make_token(key, path)}:".encode()).decode()}


class ServerTestCase(TestCase):
    """Each test's ``story`` runs in a thread, the server in the reactor."""

    def setUp(self) -> None:
        self.connections = ExitStack()
        self.listening: Any = None
        self.serve()

    def serve(
        self,
        limits: ServerLimits = ServerLimits(),  # noqa: B008
        timeouts: ServerTimeouts = ServerTimeouts(),  # noqa: B008
        secret: str | None = SECRET,
    ) -> None:
        """Start the server, instead of the one that runs. It has its own time of day, ``self.now``."""
        if self.listening is not None:
            self.addCleanup(self.listening.stopListening)
        self.now = 1_700_000_000.0
        self.server = Server(REACTOR, KEY, secret, limits, timeouts, lambda: self.now)
        self.factory = self.server.factory()
        self.listening = REACTOR.listenTCP(0, self.factory, interface="127.0.0.1")
        self.port = self.listening.getHost().port

    def tearDown(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        self.server.drop_all()
        stopped: Deferred[None] = self.listening.stopListening()
        # The connections' ends take a turn to arrive.
        return stopped.addCallback(lambda _: Deferred.fromCoroutine(self._quiet()))

    async def _quiet(self) -> None:
        await deferToThread(self.connections.close)
        for _ in range(200):
            if not self.factory.protocols:
                break
            await _pause(0.01)

    def run_in_thread(self, story: Callable[[], None]) -> Deferred[None]:
        return deferToThread(story)

    def listen(self, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
        """A websocket; what is published from now on reaches it."""
        allowed = basic(path) if headers is None else headers
        return self.connections.enter_context(
            connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=allowed, proxy=None)
        )

    def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, bytes]:
        """The status and body of the answer."""
        allowed = basic(path.partition("?")[0]) if headers is None else headers
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, allowed, method=method)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    @contextmanager
    def raw(self, sent: bytes = b"") -> Iterator[socket.socket]:
        """A TCP connection that has sent this."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as raw:
            raw.sendall(sent)
            yield raw


@contextmanager
def slow_listener(port: int, path: str) -> Iterator[socket.socket]:
    """A websocket whose client reads nothing, not even pings."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", port))
        key = base64.b64encode(hashlib.sha1(b"x").digest()[:16]).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in basic(path).items()]
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b" 101 " in raw.recv(200)
        yield raw


def read_all(sock: socket.socket) -> None:
    """Read until the end."""
    while sock.recv(1 << 20):
        pass


def _pause(seconds: float) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()
    REACTOR.callLater(seconds, waiting.callback, None)
    return waiting
