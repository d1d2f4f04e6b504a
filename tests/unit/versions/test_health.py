"""A probe is one connection with one request; a port that refuses sees nothing of it."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hanoverd.spec.health import ProbeSpec
from hanoverd.spec.status_codes import StatusCodes
from hanoverd.versions.health import Health
from hanoverd.versions.probe import ProbeResult

REACTOR: Any = reactor
HOST = "127.0.0.1"


class App(Factory):
    """Answers each request with ``answer``, if there is one, and then with ``endless`` again and again; counts its
    connections, and keeps what they have sent.
    """

    def __init__(self, answer: bytes, endless: bytes) -> None:
        self.answer = answer
        self.endless = endless
        self.sent = 0
        self.received: list[bytes] = []
        self.conversations: list[_Conversation] = []
        self.asked: Deferred[None] = Deferred()
        self.closed: Deferred[None] = Deferred()

    def buildProtocol(self, _address: IAddress | None) -> _Conversation:
        self.received.append(b"")
        self.conversations.append(_Conversation(self))
        return self.conversations[-1]

    def drip(self, data: bytes) -> None:
        """Send a little more."""
        for conversation in self.conversations:
            conversation.transport.write(data)  # type: ignore[union-attr]


@implementer(IPullProducer)
class _Conversation(Protocol):
    def __init__(self, app: App) -> None:
        self._app = app

    def dataReceived(self, data: bytes) -> None:
        self._app.received[-1] += data
        if b"\r\n\r\n" in self._app.received[-1]:
            self.transport.write(self._app.answer)  # type: ignore[union-attr]
            self._app.asked.callback(None)
            if self._app.endless:
                self.transport.registerProducer(self, False)  # type: ignore[union-attr]

    def resumeProducing(self) -> None:
        self._app.sent += len(self._app.endless)
        self.transport.write(self._app.endless)  # type: ignore[union-attr]

    def stopProducing(self) -> None:
        """The connection is lost."""

    def connectionLost(self, _reason: Failure = connectionDone) -> None:
        self._app.closed.callback(None)


class ProbeTests(TestCase):
    """Against real sockets."""

    def listen(self, answer: bytes, endless: bytes = b"") -> tuple[App, int]:
        """An app, and the port that it listens on until the test is over."""
        app = App(answer, endless)
        port = REACTOR.listenTCP(0, app, interface=HOST)
        self.addCleanup(port.stopListening)
        address: IPv4Address = port.getHost()
        return app, address.port

    async def probe(
        self, port: int, accepts: list[str] | None = None, timeout: float = 5.0, **options: Any
    ) -> ProbeResult:
        accepted: list[str] = [] if accepts is None else accepts
        health = Health(REACTOR, ProbeSpec(uri="/health", **options), timeout)
        return await health.probe(HOST, port, lambda: accepted.append("accepted"))

    async def test_the_request_is_sent_on_the_connection_that_was_accepted(self) -> None:
        app, port = self.listen(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        accepts: list[str] = []
        found = await self.probe(port, accepts)
        await app.closed
        self.assertEqual(
            found, ProbeResult(port, accepts=True, succeeded=True, summary=f"port {port}: HTTP status 200")
        )
        self.assertEqual(accepts, ["accepted"])
        self.assertEqual(len(app.received), 1)
        self.assertTrue(app.received[0].startswith(b"GET /health HTTP/1.1\r\n"), app.received)

    async def test_the_statuses_that_mean_ready_can_be_chosen(self) -> None:
        answers = {204: "", 301: " to /login (redirects are not followed)", 500: ""}
        for status, addition in answers.items():
            location = b"Location: /login\r\n" if addition else b""
            app, port = self.listen(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, location))
            found = await self.probe(port, ok=StatusCodes.parse("204,300-399"))
            await app.closed
            self.assertEqual(found.succeeded, status != 500)
            self.assertEqual(found.summary, f"port {port}: HTTP status {status}{addition}")

    async def test_headers_are_sent_with_every_request(self) -> None:
        headers = (("Host", "shop.example"), ("X-Key", "1"), ("x-key", "2"), ("Authorization", "Basic YTpi"))
        health = Health(REACTOR, ProbeSpec(headers=headers))
        for _ in range(2):
            app, port = self.listen(b"HTTP/1.1 200 OK\r\n\r\n")
            self.assertTrue((await health.probe(HOST, port, lambda: None)).succeeded)
            await app.closed
            lines = app.received[0].decode().lower().splitlines()
            for line in ("host: shop.example", "x-key: 1", "x-key: 2", "authorization: basic ytpi"):
                self.assertEqual(lines.count(line), 1, lines)
            self.assertEqual(sum(line.startswith("host:") for line in lines), 1)
            self.assertEqual(sum(line.startswith("user-agent: hanoverd/") for line in lines), 1)

    async def test_without_a_header_the_host_is_the_address_that_is_asked(self) -> None:
        app, port = self.listen(b"HTTP/1.1 200 OK\r\n\r\n")
        await self.probe(port, headers=(("User-Agent", "mine"),))
        await app.closed
        lines = app.received[0].decode().splitlines()
        self.assertIn(f"Host: {HOST}:{port}", lines)
        self.assertEqual([line for line in lines if line.startswith("User-Agent")], ["User-Agent: mine"])

    async def test_a_redirect_is_reported_and_not_followed(self) -> None:
        app, port = self.listen(b"HTTP/1.1 301 Moved\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")
        found = await self.probe(port)
        await app.closed
        self.assertEqual(
            (found.succeeded, found.summary),
            (False, f"port {port}: HTTP status 301 to /login (redirects are not followed)"),
        )

    async def test_a_port_that_nothing_listens_on_refuses(self) -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
        found = await self.probe(port)
        self.assertEqual((found.accepts, found.succeeded), (False, False))
        self.assertIn("refused", found.summary)

    async def test_a_port_that_accepts_and_does_not_answer_in_time_is_left(self) -> None:
        app, port = self.listen(b"")
        found = await self.probe(port, timeout=0.1)
        await app.closed
        summary = f"port {port}: no answer within 0.1 seconds"
        self.assertEqual(found, ProbeResult(port, accepts=True, succeeded=False, summary=summary))

    async def test_headers_without_end_are_not_read(self) -> None:
        for endless in (b"X-Header: yes\r\n", b"X-Header: " + b"y" * 16_000 + b"\r\n", b" folded\r\n"):
            app, port = self.listen(b"HTTP/1.1 200 OK\r\nX-Header: yes\r\n", endless)
            begun = time.monotonic()
            found = await self.probe(port)
            self.assertLess(time.monotonic() - begun, 30)
            await app.closed
            summary = f"port {port}: the answer is too long: more than 128 KiB"
            self.assertEqual(found, ProbeResult(port, accepts=True, succeeded=False, summary=summary))
            # What the kernel's buffers took is all that was sent in vain.
            self.assertLess(app.sent, 64 * 1024 * 1024)

    async def test_answers_before_the_last_one_without_end_are_not_read(self) -> None:
        app, port = self.listen(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")
        found = await self.probe(port)
        await app.closed
        self.assertEqual(found.summary, f"port {port}: the answer is too long: more than 128 KiB")

    async def test_a_body_without_end_is_not_read(self) -> None:
        for encoding in (b"", b"Transfer-Encoding: chunked\r\n"):
            app, port = self.listen(b"HTTP/1.1 200 OK\r\n" + encoding + b"\r\n", b"1\r\ny\r\n" * 1000)
            found = await self.probe(port)
            await app.closed
            self.assertTrue(found.succeeded)

    async def test_long_headers_are_no_failure(self) -> None:
        _, port = self.listen(b"HTTP/1.1 200 OK\r\n" + b"X-Header: yes\r\n" * 4000 + b"\r\n" + b"y" * 100_000)
        self.assertTrue((await self.probe(port)).succeeded)

    async def test_an_answer_that_comes_byte_by_byte_is_left_when_the_time_is_over(self) -> None:
        app, port = self.listen(b"HTTP/1.1 200 OK\r\nX: ")
        dripping = LoopingCall(lambda: app.drip(b"y"))
        dripping.start(0.01)
        self.addCleanup(dripping.stop)
        begun = time.monotonic()
        found = await self.probe(port, timeout=0.3)
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual(found.summary, f"port {port}: no answer within 0.3 seconds")

    async def test_what_the_app_says_is_cut(self) -> None:
        _, port = self.listen(b"HTTP/1.1 301 Moved\r\nLocation: /" + b"y" * 10_000 + b"\r\n\r\n")
        self.assertLess(len((await self.probe(port)).summary), 300)
        _, port = self.listen(b"HTTP/1.1 " + b"y " * 5_000 + b"\r\n\r\n")
        self.assertLess(len((await self.probe(port)).summary), 300)

    async def test_a_cancel_drops_the_connection(self) -> None:
        app, port = self.listen(b"")
        probing = Deferred.fromCoroutine(self.probe(port))
        await app.asked
        probing.cancel()
        with self.assertRaises(CancelledError):
            await probing
        await app.closed
