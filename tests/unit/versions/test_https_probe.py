"""A probe over TLS accepts any certificate, and asks for the host in the header ``Host``."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hanoverd.spec.health import ProbeSpec, StatusKind
from hanoverd.versions.health import Health
from hanoverd.versions.probe import ProbeResult
from tests.lab.certificates import write_certificates

REACTOR: Any = reactor
HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server(threading.Thread):
    """Answers one request, by TLS if it has a certificate, and keeps what it was asked; ``answer`` None: it never answers."""

    def __init__(self, certificates: Path | None, answer: bytes | None) -> None:
        super().__init__()
        self.server_names: list[str | None] = []
        self.request = b""
        self._answer = answer
        self._context: ssl.SSLContext | None = None
        if certificates is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
            self._context.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]

    def run(self) -> None:
        with self._server:
            connection = self._server.accept()[0]
            connection.settimeout(20)
            try:
                self._converse(connection)
            except OSError:
                pass
            finally:
                connection.close()

    def _converse(self, connection: socket.socket) -> None:
        if self._context is not None and self._answer is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        if self._answer is None:
            while connection.recv(65536):
                """Until the client goes."""
            return
        with connection:
            while b"\r\n\r\n" not in self.request and not self.request.startswith(b"\x16"):
                self.request += connection.recv(65536)
            connection.sendall(self._answer)


class HTTPSTests(TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.certificates = Path(temporary.name, "tls")
        write_certificates(self.certificates)

    def serve(self, *, tls: bool = True, answer: bytes | None = OK) -> Server:
        server = Server(self.certificates if tls else None, answer)
        server.start()
        self.addCleanup(server.join)
        return server

    async def probe(self, server: Server, timeout: float = 5.0, **options: Any) -> tuple[ProbeResult, list[str]]:
        accepted: list[str] = []
        health = Health(REACTOR, ProbeSpec(kind=StatusKind.HTTPS, uri="/health", **options), timeout)
        return await health.probe(HOST, server.port, lambda: accepted.append("accepted")), accepted

    async def test_a_certificate_of_an_unknown_authority_is_accepted(self) -> None:
        server = self.serve()
        found, accepted = await self.probe(server)
        summary = f"port {server.port}: HTTP status 200"
        self.assertEqual(found, ProbeResult(server.port, accepts=True, succeeded=True, summary=summary))
        self.assertEqual(accepted, ["accepted"])
        await deferToThread(server.join)
        self.assertTrue(server.request.startswith(b"GET /health HTTP/1.1\r\n"), server.request)
        self.assertEqual(server.server_names, [None])

    async def test_the_host_of_the_header_is_the_name_that_tls_asks_for(self) -> None:
        server = self.serve()
        found, _ = await self.probe(server, headers=(("Host", "shop.example:8443"),))
        self.assertTrue(found.succeeded)
        await deferToThread(server.join)
        self.assertIn(b"\r\nHost: shop.example:8443\r\n", server.request)
        self.assertEqual(server.server_names, ["shop.example"])

    async def test_a_port_that_does_not_speak_tls_is_not_ready(self) -> None:
        server = self.serve(tls=False, answer=b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        found, _ = await self.probe(server)
        self.assertEqual((found.accepts, found.succeeded), (True, False))
        self.assertRegex(found.summary, f"port {server.port}: no TLS connection: .*(wrong version|packet|record)")

    async def test_a_port_that_does_not_finish_the_handshake_is_left(self) -> None:
        server = self.serve(answer=None)
        found, _ = await self.probe(server, timeout=0.3)
        self.assertEqual(found.summary, f"port {server.port}: no answer within 0.3 seconds")
        # The connection was closed: else this would take 20 seconds.
        await deferToThread(server.join, 10)
        self.assertFalse(server.is_alive())
