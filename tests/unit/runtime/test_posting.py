"""HTTP requests, to a server that stops in the middle of its answer."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS

from hanoverd.hookbot.endpoints import load_trust
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import NotifyFailed
from hanoverd.runtime.posting import post, post_event
from tests.lab.certificates import write_certificates

REACTOR: Any = reactor

#: More than the client reads, and the buffers of two sockets hold, in bytes.
MOST_SENT = 32 * 1024 * 1024


class StallingServer(threading.Thread):
    """Answers one request, by TLS, with half a body, and then reads nothing more until it is released."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.answered = threading.Event()
        self.released = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]

    def run(self) -> None:
        with self._server, self._context.wrap_socket(self._server.accept()[0], server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.answered.set()
            self.released.wait(20)


class FloodingServer(threading.Thread):
    """Answers one request with ``start`` and then ``piece``, until the client closes the connection."""

    def __init__(self, start: bytes, piece: bytes) -> None:
        super().__init__()
        self.sent = 0
        self._start, self._piece = start, piece
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"

    def run(self) -> None:
        with self._server, self._server.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + self._start)
            try:
                # Not for ever, should nobody close it.
                while self.sent < 2 * MOST_SENT:
                    connection.sendall(self._piece)
                    self.sent += len(self._piece)
            except OSError:
                pass


class EventTests(TestCase):
    async def test_endless_headers_are_not_kept(self) -> None:
        server = FloodingServer(b"", b"X-Header: value\r\n" * 1000)
        server.start()
        with self.assertRaisesRegex(NotifyFailed, "cannot notify http://127.0.0.1"):
            await post_event(REACTOR, server.url, b"{}")
        server.join()
        self.assertLess(server.sent, MOST_SENT)

    async def test_of_an_endless_body_only_the_beginning_is_received(self) -> None:
        server = FloodingServer(b"\r\n", b"x" * 10_000)
        server.start()
        await post_event(REACTOR, server.url, b"{}")
        server.join()
        self.assertLess(server.sent, MOST_SENT)


class PostTests(TestCase):
    async def test_a_cancel_does_not_wait_for_the_server(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name, "tls")
        write_certificates(folder)
        server = StallingServer(folder)
        server.start()
        self.addCleanup(server.join)
        self.addCleanup(server.released.set)
        agent = Agent(REACTOR, BrowserLikePolicyForHTTPS(load_trust(str(folder / "ca.pem"))))
        posting = Deferred.fromCoroutine(post(REACTOR, agent, f"https://127.0.0.1:{server.port}/", {}, b"body"))
        deadline = time.monotonic() + 10
        while not server.answered.is_set():
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.01)
        # The beginning of the answer arrives, and the rest is waited for.
        await sleep(REACTOR, 0.1)
        begun = time.monotonic()
        posting.cancel()
        with self.assertRaises(CancelledError):
            await posting
        self.assertLess(time.monotonic() - begun, 5)
