"""The hookbot server with TLS."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from websockets.sync.client import connect

from hanoverd.hookbot.limits import ServerLimits
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.hookbot.tokens import make_token
from hanoverd.runtime.clock import sleep
from tests.lab.certificates import write_certificates

REACTOR: Any = reactor
KEY = "the key"


class TlsTests(TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name) / "tls"
        write_certificates(folder)
        limits = ServerLimits(head_timeout=2.0, linger=0.3, connections=3)
        self.server = Server(REACTOR, KEY, None, limits)
        tls = (str(folder / "server-cert.pem"), str(folder / "server-key.pem"))
        self.service = ServerService(REACTOR, self.server, "127.0.0.1", 0, tls)
        listening: Any = self.service._listening
        self.port = listening.getHost().port
        self.addCleanup(self.end, listening)
        self.context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.context.check_hostname = False

    async def end(self, listening: Any) -> None:
        self.server.drop_all()
        await listening.stopListening()
        await sleep(REACTOR, 0.5)

    def test_http_2_is_not_offered(self) -> Deferred[None]:
        self.context.set_alpn_protocols(["h2", "http/1.1"])

        def story() -> None:
            with socket.create_connection(("127.0.0.1", self.port), 10) as raw, self.context.wrap_socket(raw) as tls:
                self.assertIn(tls.selected_alpn_protocol(), (None, "http/1.1"))
                tls.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertIn(b" 200 ", tls.recv(1000))

        return deferToThread(story)

    def test_a_client_that_does_not_finish_the_handshake_is_dropped(self) -> Deferred[None]:
        def story() -> None:
            for sent in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"):
                begun = time.monotonic()
                with socket.create_connection(("127.0.0.1", self.port), 10) as raw:
                    raw.sendall(sent)
                    with self.assertRaises((ConnectionResetError, EOFError)):
                        while raw.recv(1000):
                            pass
                        raise EOFError
                self.assertLess(time.monotonic() - begun, 15)

        return deferToThread(story)

    def test_a_listener_with_a_token_stays_when_there_are_too_many_connections(self) -> Deferred[None]:
        def story() -> None:
            headers = {"Authorization": f"Bearer {make_token(KEY, '/sub/a')}"}
            url = f"wss://127.0.0.1:{self.port}/sub/a"
            with connect(url, ssl=self.context, additional_headers=headers, proxy=None) as listener:
                for _ in range(10):
                    socket.create_connection(("127.0.0.1", self.port), 10).close()
                idle = [socket.create_connection(("127.0.0.1", self.port), 10) for _ in range(10)]
                listener.ping().wait(5)
                for one in idle:
                    one.close()
                self.assertEqual(self.server.subscribers.topics, ["a"])

        return deferToThread(story)

    def test_many_clients_can_connect_at_once(self) -> Deferred[None]:
        def story() -> None:
            busy = threading.Event()
            REACTOR.callFromThread(busy.wait, 30)
            try:
                # With a short queue, the kernel would let them wait.
                for one in [socket.create_connection(("127.0.0.1", self.port), 3) for _ in range(200)]:
                    one.close()
            finally:
                busy.set()

        return deferToThread(story)
