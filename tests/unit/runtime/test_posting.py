"""HTTP requests, to servers that stop in the middle of their answer, never end it, or repeat what they were sent."""

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
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import optionsForClientTLS
from twisted.trial.unittest import TestCase

from hanoverd.hookbot.endpoints import load_trust
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import NotifyFailed
from hanoverd.runtime.posting import MOST_KEPT, post, post_event
from tests.lab.certificates import write_certificates

REACTOR: Any = reactor


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
        url = f"https://127.0.0.1:{server.port}/"
        options = optionsForClientTLS("127.0.0.1", trustRoot=load_trust(str(folder / "ca.pem")))
        endpoint = wrapClientTLS(options, HostnameEndpoint(REACTOR, "127.0.0.1", server.port))
        posting = Deferred.fromCoroutine(post(REACTOR, endpoint, url, {}, b"body"))
        deadline = time.monotonic() + 60
        while not server.answered.is_set():
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.01)
        # The beginning of the answer arrives, and the rest is waited for.
        await sleep(REACTOR, 0.1)
        begun = time.monotonic()
        posting.cancel()
        with self.assertRaises(CancelledError):
            await posting
        self.assertLess(time.monotonic() - begun, 30)


class HostileServer(threading.Thread):
    """Answers one request with ``begin``, and then with ``endless`` until the connection is closed."""

    def __init__(self, begin: bytes, endless: bytes = b"") -> None:
        super().__init__()
        self._begin, self._endless = begin, endless
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/services/T0KEN?key=S3CRET%2Fx"
        self.sent = 0

    def run(self) -> None:
        with self._server, self._server.accept()[0] as connection:
            connection.settimeout(20)
            connection.recv(65536)
            try:
                connection.sendall(self._begin)
                while self._endless:
                    connection.sendall(self._endless)
                    self.sent += len(self._endless)
            except OSError:
                return  # It was closed.


class HostileAnswerTests(TestCase):
    def serve(self, begin: bytes, endless: bytes = b"") -> HostileServer:
        server = HostileServer(begin, endless)
        server.start()
        self.addCleanup(server.join)
        return server

    async def refusal(self, server: HostileServer) -> str:
        """The error of an event that is posted there."""
        begun = time.monotonic()
        with self.assertRaises(NotifyFailed) as caught:
            await post_event(REACTOR, server.url, b"{}", {})
        self.assertLess(time.monotonic() - begun, 30)
        self.assertIn(f"cannot notify {server.url.partition('/services')[0]}/…: ", str(caught.exception))
        for secret in ("T0KEN", "S3CRET", "services"):
            self.assertNotIn(secret, str(caught.exception))
        return str(caught.exception)

    async def test_headers_without_end_are_not_read(self) -> None:
        for begin, endless in (
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        ):
            server = self.serve(begin, endless)
            self.assertIn("the answer is too long: more than 128 KiB", await self.refusal(server))
            self.assertLess(server.sent, 64 * 1024 * 1024)

    async def test_a_body_without_end_is_not_read_and_the_status_counts(self) -> None:
        server = self.serve(b"HTTP/1.1 200 OK\r\n\r\n", b"y" * 65536)
        begun = time.monotonic()
        await post_event(REACTOR, server.url, b"{}", {})
        self.assertLess(time.monotonic() - begun, 30)
        server = self.serve(b"HTTP/1.1 500 No\r\n\r\n", b"y" * 65536)
        self.assertTrue((await self.refusal(server)).endswith(f"HTTP status 500: {'y' * MOST_KEPT}"))

    async def test_an_answer_is_shown_unless_it_repeats_a_part_of_the_url(self) -> None:
        for body, shown in (
            (b"invalid_payload", ": invalid_payload"),
            (b"The URL /services/T0KEN was not found", ""),
            (b"unknown key S3CRET/x", ""),
            (b"unknown key S3CRET%2Fx", ""),
            (b"", ""),
        ):
            server = self.serve(b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            self.assertTrue((await self.refusal(server)).endswith(f"HTTP status 404{shown}"))

    async def test_an_answer_that_is_not_http_is_an_error_in_a_few_words(self) -> None:
        for begin in (b"SSH-2.0-OpenSSH\r\n" * 100, b"HTTP/1.1 " + b"y " * 5000 + b"\r\n\r\n"):
            self.assertLess(len(await self.refusal(self.serve(begin))), 300)

    async def test_a_host_that_cannot_exist_is_an_error_like_others(self) -> None:
        for host in ("a..b", "a" * 70, "-"):
            for scheme in ("http", "https"):
                with self.assertRaisesRegex(NotifyFailed, f"cannot notify {scheme}://") as caught:
                    await post_event(REACTOR, f"{scheme}://{host}/T0KEN", b"{}", {})
                self.assertNotIn("T0KEN", str(caught.exception))
