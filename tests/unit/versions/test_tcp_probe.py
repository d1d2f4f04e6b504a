"""A TCP probe succeeds where a connection is accepted and not closed at once."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hanoverd.versions.probe import ProbeResult
from hanoverd.versions.tcp_probe import TCPProbe

REACTOR: Any = reactor
HOST = "127.0.0.1"


class App(Factory[Protocol]):
    """Accepts connections: sends ``greeting``, and closes them if it ``closes``."""

    def __init__(self, greeting: bytes, *, closes: bool) -> None:
        self.greeting = greeting
        self.closes = closes
        self.received = b""
        self.accepted: Deferred[None] = Deferred()
        self.closed: Deferred[None] = Deferred()

    def buildProtocol(self, _address: IAddress | None) -> Protocol:
        return _Conversation(self)


class _Conversation(Protocol):
    def __init__(self, app: App) -> None:
        self._app = app

    def connectionMade(self) -> None:
        self._app.accepted.callback(None)
        if self._app.greeting:
            self.transport.write(self._app.greeting)  # type: ignore[union-attr]
        if self._app.closes:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._app.received += data

    def connectionLost(self, _reason: Failure = connectionDone) -> None:
        self._app.closed.callback(None)


class TCPProbeTests(TestCase):
    """Against real sockets."""

    def listen(self, greeting: bytes = b"", *, closes: bool = False) -> tuple[App, int]:
        app = App(greeting, closes=closes)
        port = REACTOR.listenTCP(0, app, interface=HOST)
        self.addCleanup(port.stopListening)
        return app, port.getHost().port

    async def probe(self, port: int, **options: float) -> tuple[ProbeResult, list[str]]:
        accepted: list[str] = []
        found = await TCPProbe(REACTOR, **options).probe(HOST, port, lambda: accepted.append("accepted"))
        return found, accepted

    async def test_a_connection_that_stays_open_is_a_success_and_nothing_is_sent(self) -> None:
        app, port = self.listen()
        found, accepted = await self.probe(port)
        await app.closed
        summary = f"port {port}: accepts connections"
        self.assertEqual(found, ProbeResult(port, accepts=True, succeeded=True, summary=summary))
        self.assertEqual((accepted, app.received), (["accepted"], b""))

    async def test_a_connection_that_is_closed_at_once_is_none(self) -> None:
        app, port = self.listen(closes=True)
        found, accepted = await self.probe(port, keeps_for=20)
        await app.closed
        summary = f"port {port}: accepted the connection and closed it at once"
        self.assertEqual(found, ProbeResult(port, accepts=True, succeeded=False, summary=summary))
        self.assertEqual(accepted, ["accepted"])

    async def test_a_greeting_is_a_success_at_once(self) -> None:
        app, port = self.listen(b"SSH-2.0-x\r\n", closes=True)
        begun = time.monotonic()
        found, _ = await self.probe(port, keeps_for=20)
        self.assertLess(time.monotonic() - begun, 10)
        await app.closed
        self.assertTrue(found.succeeded)

    async def test_to_accept_is_enough_where_nothing_is_to_be_kept(self) -> None:
        app, port = self.listen(closes=True)
        found, _ = await self.probe(port, keeps_for=0)
        await app.closed
        self.assertTrue(found.succeeded)

    async def test_a_port_that_nothing_listens_on_refuses(self) -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
        found, accepted = await self.probe(port)
        self.assertEqual((found.accepts, found.succeeded, accepted), (False, False, []))
        self.assertIn("refused", found.summary)

    async def test_a_port_that_never_answers_is_left(self) -> None:
        with socket.socket() as full:
            full.bind((HOST, 0))
            full.listen(0)
            port = full.getsockname()[1]
            # The kernel accepts one connection more than the backlog, and drops the packets of others.
            waiting = [socket.socket() for _ in range(2)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex((HOST, port))
            found, accepted = await self.probe(port, timeout=0.3)
            for one in waiting:
                one.close()
        self.assertEqual(found.summary, f"port {port}: no answer within 0.3 seconds")
        self.assertEqual((found.accepts, accepted), (False, []))

    async def test_a_cancel_drops_the_connection(self) -> None:
        app, port = self.listen()
        probing = Deferred.fromCoroutine(self.probe(port, keeps_for=60))
        await app.accepted
        probing.cancel()
        with self.assertRaises(CancelledError):
            await probing
        await app.closed
