"""Answers of an engine that contain what a registry sent: they are cut and escaped, and take little memory."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.docker.address import EngineAddress
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.docker.streams import LONGEST_EVENT
from hanoverd.runtime.errors import EngineRefused, OperationFailed
from hanoverd.text.lines import LONGEST_LINE

REACTOR: Any = reactor

MIB = 1024 * 1024
SHOUT = "no\x1b[2J\n14:03:21 web-3: live " + "x" * 10 * MIB
QUIET = "no\\x1b[2J\\n14:03:21 web-3: live xxx"


class _Server(socketserver.ThreadingUnixStreamServer):
    status: int
    content: bytes


class _Handler(BaseHTTPRequestHandler):
    """Answers as it is told, in chunks, as Go's server does for an answer of unknown length."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/version":
            self._answer(200, json.dumps({"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Version": "0"}).encode())
        else:
            self._answer(self.server.status, self.server.content)

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self._answer(self.server.status, self.server.content)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in (f"{len(content):x}\r\n".encode(), content, b"\r\n0\r\n\r\n"):
                self.wfile.write(piece)
        except ConnectionError:
            pass  # The client has read enough.
        self.close_connection = True


class HostileAnswerTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        socket = Path(folder.name) / "engine.sock"
        pools = Pools.of(1, 1, 1)
        pools.start()
        self.addCleanup(pools.stop)
        self.server = _Server(str(socket), _Handler)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.engine = Engine(REACTOR, pools, EngineAddress(f"unix://{socket}", None, "the test"))

    def answer(self, status: int, *contents: object) -> None:
        """Answer each request with these JSON objects."""
        self.server.status = status
        self.server.content = b"\r\n".join(json.dumps(content).encode() for content in contents)

    async def pull(self) -> None:
        await self.engine.pull("r.example/app", "v1", {}, lambda line: None)

    async def test_an_error_of_a_pull_is_cut_and_escaped(self) -> None:
        message = SHOUT[: LONGEST_EVENT // 2]
        self.answer(200, {"status": "Pulling"}, {"errorDetail": {"message": message}, "error": ""})
        with self.assertRaises(OperationFailed) as raised:
            await self.pull()
        self.assertTrue(str(raised.exception).startswith(QUIET))
        self.assertLess(len(str(raised.exception)), LONGEST_LINE + 100)

    async def test_an_error_of_ten_mebibytes_takes_little_memory(self) -> None:
        await self.engine.negotiate()
        self.answer(200, {"status": "Pulling"}, {"errorDetail": {"message": SHOUT}, "error": SHOUT})
        tracemalloc.start()
        with self.assertRaisesRegex(
            OperationFailed, "an event of more than 1024 KiB, which begins with .*no"
        ) as raised:
            await self.pull()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertTrue(str(raised.exception).isprintable())
        self.assertLess(len(str(raised.exception)), 2000)
        self.assertLess(most, 6 * MIB)

    async def test_a_refusal_of_ten_mebibytes_is_cut_and_escaped(self) -> None:
        await self.engine.negotiate()
        self.answer(500, {"message": SHOUT})
        for work in (self.pull, lambda: self.engine.remote_digest("r.example/app:v1", {})):
            with self.assertRaises(EngineRefused) as raised:
                await work()
            message = str(raised.exception)
            self.assertIn('the engine says: {"message": "no\\u001b[2J', message[:200])
            self.assertTrue(message.isprintable())
            self.assertLess(len(message), LONGEST_LINE + 200)
        self.answer(500, {"message": "no\x1b[2J"})
        with self.assertRaisesRegex(EngineRefused, r"the engine says: no\\x1b\[2J$"):
            await self.pull()

    async def test_a_load_that_is_refused_with_a_long_error_fails(self) -> None:
        # docker-py takes it for an event.
        self.answer(500, {"message": "no room " + "x" * 5000})
        with self.assertRaisesRegex(EngineRefused, "no room xxx"):
            await self.engine.load(lambda abort: iter([b"archive"]), lambda line: None)
