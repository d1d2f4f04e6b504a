"""Listening to hookbot: real websockets over loopback, and peers that misbehave."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from hanoverd.hookbot.endpoints import load_trust
from hanoverd.hookbot.limits import ClientTimeouts, ServerLimits
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES
from hanoverd.hookbot.publishing import publish
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.hookbot.tokens import make_token
from hanoverd.hookbot.websocket import listen
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HookbotError
from hanoverd.spec.hookbot import HookbotURL
from tests.lab.certificates import write_certificates

REACTOR: Any = reactor
KEY = "the key"


class Far(Protocol):
    """A server that sends only what a test makes it send."""

    def __init__(self, said: bytes, *, closes: bool) -> None:
        self.said = said
        self.closes = closes

    def dataReceived(self, data: bytes) -> None:
        del data
        assert self.transport is not None
        if self.said:
            self.transport.write(self.said)
        if self.closes:
            self.transport.loseConnection()


class ListenTests(TestCase):
    """One connection."""

    def setUp(self) -> None:
        self.server = Server(REACTOR, KEY, None, ServerLimits(message=4 * MAX_MESSAGE_BYTES))
        self.port = self.serve(self.server.factory())
        self.messages: list[bytes] = []
        self.oversized: list[int] = []
        self.opened = 0

    def serve(self, factory: Any) -> int:
        """Listen on a free port for this test."""
        listening = REACTOR.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self._end, listening)
        port: int = listening.getHost().port
        return port

    def far(self, said: bytes, *, closes: bool = True) -> HookbotURL:
        """A server that only says this."""
        factory = Factory.forProtocol(lambda: Far(said, closes=closes))
        factory.noisy = False
        return HookbotURL("ws", "127.0.0.1", self.serve(factory), "/sub/a")

    async def _end(self, listening: Any) -> None:
        self.server.drop_all()
        await listening.stopListening()
        await sleep(REACTOR, 0.02)

    def url(self, path: str = "/sub/a", key: str = KEY) -> HookbotURL:
        """A URL of the real server."""
        return HookbotURL("ws", "127.0.0.1", self.port, path, token=make_token(key, path))

    def listening(self, url: HookbotURL, timeouts: ClientTimeouts = ClientTimeouts()) -> Deferred[str]:  # noqa: B008
        """Listen from now on."""

        def opened() -> None:
            self.opened += 1

        return Deferred.fromCoroutine(
            listen(REACTOR, url, None, opened, self.messages.append, self.oversized.append, timeouts)
        )

    async def until(self, holds: Callable[[], object], seconds: float = 5) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.005)

    async def why(self, work: Deferred[str]) -> str:
        """What it fails with."""
        work.addTimeout(10, REACTOR)
        try:
            await work
        except HookbotError as error:
            return str(error)
        raise AssertionError("it did not fail")

    async def test_messages_arrive_verbatim_until_the_server_ends(self) -> None:
        work = self.listening(self.url())
        await self.until(lambda: self.opened)
        for body in (b"one", b"", b"\0\xff", b"x" * MAX_MESSAGE_BYTES):
            await publish(REACTOR, self.url("/pub/a"), None, body)
        await self.until(lambda: len(self.messages) == 4)
        self.assertEqual(self.messages, [b"one", b"", b"\0\xff", b"x" * MAX_MESSAGE_BYTES])
        self.server.drop_all()
        self.assertTrue(await work)

    async def test_topics_of_any_characters_reach_whom_they_should(self) -> None:
        for topic in ("a b", "feature#1", "größe", "x%y", "q?r", "a;b", "a//b", "x/../y", "\udcff"):
            body = topic.encode("utf-8", "surrogateescape")
            self.opened, self.messages[:] = 0, []
            listening = self.listening(self.url(f"/sub/{topic}"))
            await self.until(lambda: self.opened)
            await publish(REACTOR, self.url(f"/pub/{topic}"), None, body)
            await self.until(lambda: self.messages)
            self.assertEqual(self.messages, [body])
            await self.cancelled(listening)

    async def test_a_message_that_is_too_large_is_told_and_the_next_one_arrives(self) -> None:
        work = self.listening(self.url())
        await self.until(lambda: self.opened)
        await publish(REACTOR, self.url("/pub/a"), None, b"x" * 2 * MAX_MESSAGE_BYTES)
        await publish(REACTOR, self.url("/pub/a"), None, b"next")
        await self.until(lambda: self.messages)
        self.assertEqual((self.oversized, self.messages), ([2 * MAX_MESSAGE_BYTES], [b"next"]))
        await self.cancelled(work)

    async def cancelled(self, work: Deferred[str]) -> None:
        """Cancel, and find that it ends as a cancel does."""
        work.cancel()
        with self.assertRaises(CancelledError):
            await work

    async def test_a_cancel_drops_the_connection(self) -> None:
        work = self.listening(self.url())
        await self.until(lambda: self.opened)
        await self.cancelled(work)
        await self.until(lambda: not self.server.subscribers.topics)

    async def test_a_cancel_while_it_connects(self) -> None:
        await self.cancelled(self.listening(self.far(b"", closes=False)))
        work = self.listening(self.far(b"", closes=False))
        await sleep(REACTOR, 0.05)
        await self.cancelled(work)

    async def test_a_token_of_another_key(self) -> None:
        why = await self.why(self.listening(self.url(key="another")))
        self.assertIn("HTTP status 401: the token is for another path", why)
        self.assertNotIn(make_token("another", "/sub/a"), why)

    async def test_what_is_no_hookbot(self) -> None:
        for said, reason in (
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404: there is no hookbot"),
            (b"HTTP/1.1 500 Oh\r\n\r\n", "HTTP status 500: the server has an error"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP status 200"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "the websocket was not opened"),
            (b"", "the websocket was not opened"),
        ):
            self.assertIn(reason, await self.why(self.listening(self.far(said))))
        self.assertEqual(self.opened, 0)

    async def test_nobody_at_the_port(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            url = HookbotURL("ws", "127.0.0.1", bound.getsockname()[1], "/sub/a")
            self.assertIn("cannot connect: Connection was refused", await self.why(self.listening(url)))

    async def test_a_server_that_takes_the_connection_and_says_nothing(self) -> None:
        why = await self.why(self.listening(self.far(b"", closes=False), ClientTimeouts(open=0.3)))
        self.assertIn("the websocket was not opened", why)

    async def test_a_peer_that_has_died_is_found(self) -> None:
        work = self.listening(self.url(), ClientTimeouts(ping=1.0, ping_spread=0.0, pong=1.5))
        await self.until(lambda: self.opened and self.server.subscribers.topics)
        # As if it lay on a host that has gone: nothing reads what we send.
        [connection] = self.server.subscribers.of("a")
        connection.transport.pauseProducing()  # type: ignore[union-attr]
        begun = time.monotonic()
        self.assertIn("ping", (await work).lower())
        self.assertLess(time.monotonic() - begun, 30)
        connection.drop()

    async def test_an_unsafe_topic(self) -> None:
        work = self.listening(HookbotURL("ws", "127.0.0.1", self.port, "/unsafe/sub/a"))
        await self.until(lambda: self.opened)
        await publish(REACTOR, HookbotURL("ws", "127.0.0.1", self.port, "/unsafe/pub/a"), None, b"x")
        await self.until(lambda: self.messages)
        await self.cancelled(work)

    async def test_publishing_without_the_right_to(self) -> None:
        with self.assertRaisesRegex(HookbotError, "cannot publish to .*HTTP status 401: 401 Unauthorized"):
            await publish(REACTOR, self.url("/pub/a", "another"), None, b"")

    async def test_publishing_to_nobody(self) -> None:
        with self.assertRaisesRegex(HookbotError, "cannot publish to ws://127.0.0.1:1/pub/a"):
            await publish(REACTOR, HookbotURL("ws", "127.0.0.1", 1, "/pub/a", token="T"), None, b"")

    async def test_tls_is_verified(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name) / "tls"
        write_certificates(folder)
        tls = (str(folder / "server-cert.pem"), str(folder / "server-key.pem"))
        service = ServerService(REACTOR, self.server, "127.0.0.1", 0, tls)
        service.startService()
        host: Any = service._listening.getHost()
        port = host.port
        url = HookbotURL("wss", "127.0.0.1", port, "/sub/a", token=make_token(KEY, "/sub/a"))
        trusted = load_trust(str(folder / "ca.pem"))

        def opened() -> None:
            self.opened += 1

        unknown = Deferred.fromCoroutine(
            listen(REACTOR, url, load_trust(None), opened, self.messages.append, self.oversized.append)
        )
        self.assertIn("certificate verify failed", await self.why(unknown))
        work = Deferred.fromCoroutine(
            listen(REACTOR, url, trusted, opened, self.messages.append, self.oversized.append)
        )
        await self.until(lambda: self.opened)
        await publish(
            REACTOR, HookbotURL("wss", "127.0.0.1", port, "/pub/a", token=make_token(KEY, "/pub/a")), trusted, b"safe"
        )
        await self.until(lambda: self.messages)
        await self.cancelled(work)
        await service.stopService()
        await sleep(REACTOR, 0.05)

    def test_certificates_that_are_none(self) -> None:
        with self.assertRaisesRegex(HookbotError, "cannot read the certificates in /nowhere: No such file"):
            load_trust("/nowhere")
        with self.assertRaisesRegex(HookbotError, "has no certificate"):
            load_trust(__file__)
