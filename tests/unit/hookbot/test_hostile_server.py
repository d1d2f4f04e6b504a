"""Listening to a server, and publishing to one, that misbehaves."""

from __future__ import annotations

import base64
import hashlib
import re
import tracemalloc
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hanoverd.hookbot.limits import ClientTimeouts
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES
from hanoverd.hookbot.publishing import publish
from hanoverd.hookbot.websocket import listen
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HookbotError
from hanoverd.spec.hookbot import HookbotURL

REACTOR: Any = reactor

#: What RFC 6455 adds to a client's key.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: The most that a hostile server may make hanoverd keep, in bytes.
MOST = 4 * MAX_MESSAGE_BYTES


@implementer(IPullProducer)
class Hostile(Protocol):
    """A server that sends ``head``, and then ``flood`` again and again, as fast as it is received."""

    is_flooding = False

    def __init__(self, head: bytes, flood: bytes) -> None:
        self.head = head
        self.flood = flood

    def dataReceived(self, data: bytes) -> None:
        if self.is_flooding:
            return
        self.is_flooding = True
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", data)
        accept = base64.b64encode(hashlib.sha1((key[1] if key else b"") + GUID).digest())
        self.there.write(self.head.replace(b"ACCEPT", accept))
        if self.flood:
            self.there.registerProducer(self, streaming=False)

    def resumeProducing(self) -> None:
        self.there.write(self.flood)

    def stopProducing(self) -> None:
        self.flood = b""

    @property
    def there(self) -> Any:
        return self.transport


OPENED = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"


class HostileServerTests(TestCase):
    def setUp(self) -> None:
        self.messages: list[bytes] = []
        self.oversized: list[int] = []
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)

    def serve(self, head: bytes, flood: bytes = b"") -> HookbotURL:
        """Run a hostile server."""
        factory = Factory.forProtocol(lambda: Hostile(head, flood))
        factory.noisy = False
        listening = REACTOR.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.end, listening)
        return HookbotURL("ws", "127.0.0.1", listening.getHost().port, "/sub/a")

    async def end(self, listening: Any) -> None:
        await listening.stopListening()
        await sleep(REACTOR, 0.05)

    def listening(self, url: HookbotURL) -> Deferred[str]:
        """Listen until the connection ends."""
        work = Deferred.fromCoroutine(
            listen(
                REACTOR, url, None, lambda: None, self.messages.append, self.oversized.append, ClientTimeouts(open=5.0)
            )
        )
        return work.addTimeout(20, REACTOR)

    async def test_a_head_without_end(self) -> None:
        for head in (b"HTTP/1.1 101 x\r\n", b""):
            url = self.serve(head, b"X-Header: " + b"x" * 10_000 + b"\r\n")
            with self.assertRaisesRegex(HookbotError, "the head of its response is longer than 16384 bytes"):
                await self.listening(url)
        self.assertLess(tracemalloc.get_traced_memory()[1], MOST)

    async def test_frames_without_end(self) -> None:
        for flood in (b"\x89\x01x" * 1000, b"\x8a\x00" * 1000, b"\x02\x00" + b"\x00\x00" * 1000, b"\x82\x00" * 1000):
            self.assertEqual(await self.listening(self.serve(OPENED, flood)), "the server sends too many frames")
        self.assertLess(tracemalloc.get_traced_memory()[1], MOST)

    async def test_a_message_without_end(self) -> None:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        work = self.listening(self.serve(OPENED + b"\x02\x7f" + (1 << 62).to_bytes(8), bytes(65536)))
        await sleep(REACTOR, 0.5)
        self.assertEqual((self.messages, self.oversized), ([], []))
        # What waits in the server's socket counts, too.
        self.assertLess(tracemalloc.get_traced_memory()[1] - before, MOST)
        work.cancel()
        with self.assertRaises(CancelledError):
            await work

    async def test_redirects_are_not_followed(self) -> None:
        url = self.serve(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/sub/a\r\n\r\n")
        with self.assertRaisesRegex(HookbotError, "HTTP status 302: the server redirects"):
            await self.listening(url)

    async def test_publishing_to_a_server_whose_answer_has_no_end(self) -> None:
        for head, flood in (
            (b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"x" * 10_000 + b"\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"x" * 10_000),
            (b"HTTP/1.1 500 No\r\n\r\n", b"x" * 100_000),
            (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
        ):
            work = Deferred.fromCoroutine(publish(REACTOR, self.serve(head, flood), None, b"UPDATE\n"))
            work.addTimeout(5, REACTOR)
            with self.assertRaisesRegex(HookbotError, "cannot publish to"):
                await work
        self.assertLess(tracemalloc.get_traced_memory()[1], MOST)
