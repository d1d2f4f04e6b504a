"""The control socket and clients that send too much, too slowly, or nothing; the others are not affected."""

from __future__ import annotations

import json
import socket
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from hanoverd.api import control_socket, server, site
from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.server import ControlServer
from hanoverd.history.record import Origin
from hanoverd.logs.recent import RecentLog
from hanoverd.runtime.clock import sleep
from tests.unit.api.test_server import Far, read_all, read_until

REACTOR: Any = reactor
log = Logger()

STATUS = b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A request with a body."""
    head = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


class Deployable(Far):
    """It counts what it was asked to deploy."""

    def __init__(self) -> None:
        super().__init__()
        self.deployed: list[str | None] = []
        self.if_changed = False
        self.rolled_back: list[int | None] = []
        self.timeouts: list[tuple[str, float | None]] = []

    def deploy(
        self,
        image: str | None,
        reason: str,
        ready_timeout: float | None = None,
        *,
        if_changed: bool = False,
        origin: Origin | None = None,
    ) -> int:
        self.deployed.append(image)
        self.timeouts.append((reason, ready_timeout))
        self.if_changed = if_changed
        return len(self.deployed)

    def rollback(self, number: int | None, reason: str, origin: Origin) -> int:
        self.rolled_back.append(number)
        return super().rollback(number, reason, origin)


class LimitTests(TestCase):
    """On a real socket, with a clock that stands still."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "far.sock")
        self.far, self.log, self.clock = Deployable(), RecentLog(), Clock()
        self.sites: list[site.ControlSite] = []

        def listen_here(made: Any) -> Any:
            made.reactor = self.clock
            self.sites.append(made)
            return listen(REACTOR, {"HANOVERD_RUNTIME_DIR": folder.name}, "far", made)

        self.server = ControlServer(self.clock, cast("Control", self.far), self.log, listen_here)
        self.server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.close()))

    def connect(self, data: bytes = b"") -> socket.socket:
        """Connect, and send the start of a request; call it in a thread."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(20)
        while True:
            try:
                connection.connect(str(self.path))
            except BlockingIOError:
                time.sleep(0.001)  # The queue of the socket is full.
            else:
                break
        try:
            connection.sendall(data)
        except BrokenPipeError:
            pass  # It was closed for a newer one.
        return connection

    async def connected(self, data: bytes = b"") -> socket.socket:
        return await deferToThread(self.connect, data)

    async def answer(self, request: bytes) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        connection = await self.connected(request)
        head, _, body = (await deferToThread(read_answer, connection)).partition("\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    async def until(self, holds: Any) -> None:
        for _ in range(12000):
            if holds():
                return
            await sleep(REACTOR, 0.005)
        raise AssertionError("not within a minute")

    async def is_closed(self, connection: socket.socket) -> bool:
        """Wait until the other end has closed a connection."""
        try:
            return await deferToThread(connection.recv, 65536) == b""
        except ConnectionResetError:
            return True

    async def works(self) -> None:
        self.assertEqual((await self.answer(STATUS))[0], 200)

    # -- bodies

    async def test_a_body_that_is_too_large_is_refused_before_it_is_read(self) -> None:
        head = post("/deploy", b"", "").replace(b"Content-Length: 0", b"Content-Length: 1073741824")
        status, answer = await self.answer(head)
        self.assertEqual((status, answer), (413, {"error": "the request body is larger than 64 KiB"}))
        await self.works()

    async def test_a_chunked_body_that_is_too_large_is_refused(self) -> None:
        head = b"POST /deploy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for size in (site.MOST_BYTES, site.MOST_BYTES // 2):
            chunk = b"%x\r\n%s\r\n" % (size, b" " * size)
            self.assertEqual((await self.answer(head + 3 * chunk + b"0\r\n\r\n"))[0], 413)
        self.assertEqual(self.far.deployed, [])
        await self.works()

    async def test_a_body_of_the_largest_size_is_read(self) -> None:
        body = b'{"image": "a"}'
        self.assertEqual((await self.answer(post("/deploy", body + b" " * (site.MOST_BYTES - len(body)))))[0], 200)
        self.assertEqual(self.far.deployed, ["a"])

    async def test_a_body_that_is_no_request_changes_nothing(self) -> None:
        deep = b"[" * 60_000
        for body in (
            b"[",
            b"\xff\xfe\xff",
            deep,
            b'{"a":' * 10_000,
            b'{"image": NaN}',
            b"1" * 60_000,
            b'{"image": 1e999}',
        ):
            self.assertEqual(await self.answer(post("/deploy", body)), (400, self.invalid(body)), body[:20])
        for body in (b"[]", b"null", b'"image"', b"1"):
            self.assertEqual(
                (await self.answer(post("/deploy", body)))[1]["error"], "the request body is not a JSON object"
            )
        status, answer = await self.answer(post("/deploy", b'{"imgae": "web:2"}'))
        self.assertEqual(status, 400)
        self.assertEqual(
            answer["error"], 'unknown key "imgae" in the request body: known is image, status_timeout, if_changed'
        )
        for value in ("1", "null", '"yes"'):
            status, answer = await self.answer(post("/deploy", b'{"if_changed": %s}' % value.encode()))
            self.assertEqual((status, answer["error"]), (400, "if_changed must be true or false"))
        for timeout in ("true", "-1", "0", '"2s"', "[]", "1e999", "1e11"):
            status, answer = await self.answer(post("/deploy", b'{"status_timeout": %s}' % timeout.encode()))
            self.assertEqual(
                (status, answer["error"]), (400, "status_timeout must be a number of seconds, more than 0")
            )
        for version in ("true", "-1", "1.5", '"2"', "[]", "9223372036854775808", "1" * 400):
            status, answer = await self.answer(post("/rollback", b'{"version": %s}' % version.encode()))
            self.assertEqual((status, answer["error"]), (400, "version must be the number of a version"))
        self.assertEqual((self.far.deployed, self.far.rolled_back), ([], []))
        self.assertEqual((await self.answer(post("/rollback", b'{"version": 2}')))[0], 200)
        self.assertEqual(self.far.rolled_back, [2])
        self.assertEqual((await self.answer(post("/deploy", b'{"if_changed": true}')))[0], 200)
        self.assertTrue(self.far.if_changed)
        self.assertEqual(self.far.timeouts[-1][0], "hanoverd deploy (if changed)")

    async def test_a_status_timeout_for_one_handover_is_a_part_of_its_reason(self) -> None:
        for body in (b"{}", b'{"status_timeout": 90}', b'{"image": "web:2", "status_timeout": 0.5}'):
            self.assertEqual((await self.answer(post("/deploy", body)))[0], 200)
        expected = [
            ("hanoverd deploy", None),
            ("hanoverd deploy (status timeout 1m30s)", 90.0),
            ("hanoverd deploy (web:2, status timeout 500ms)", 0.5),
        ]
        self.assertEqual(self.far.timeouts, expected)

    def invalid(self, body: bytes) -> dict[str, str]:
        if body == b'{"image": 1e999}':
            return {"error": "image must be a string"}
        return {"error": "the request body is " + ("not a JSON object" if body == b"" else "not valid JSON")}

    async def test_an_unknown_path_is_reported_in_the_usual_words(self) -> None:
        status, answer = await self.answer(STATUS.replace(b"/status", b"/nothing"))
        self.assertEqual((status, answer["error"]), (404, "unknown path: /nothing"))

    async def test_numbers_of_thousands_of_digits_are_refused(self) -> None:
        digits = b"9" * 10_000
        self.assertEqual((await self.answer(STATUS.replace(b"/status", b"/handovers/" + digits)))[0], 404)
        self.assertEqual((await self.answer(STATUS.replace(b"/status", b"/logs?tail=" + digits)))[0], 400)

    # -- time

    async def test_a_request_that_drips_has_a_time_limit(self) -> None:
        for start in (b"", b"GET /sta", post("/deploy", b"1" * 100)[:-50]):
            connection = await self.connected(start)
            await self.until(lambda: self.sites[0].idle)
            for _ in range(9):
                self.clock.advance(site.REQUEST_TIMEOUT / 10)
                if start:
                    await deferToThread(connection.send, b"1")
                await sleep(REACTOR, 0)
            self.clock.advance(site.REQUEST_TIMEOUT / 10)
            self.assertTrue(await self.is_closed(connection))
            await self.until(lambda: not self.sites[0].idle)
        self.assertEqual(self.far.deployed, [])
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])

    async def test_a_client_that_waits_for_its_answer_has_time(self) -> None:
        connection = await self.connected(STATUS.replace(b"/status", b"/logs?follow=1"))
        await self.until(lambda: self.log.followers)
        self.clock.advance(100 * site.REQUEST_TIMEOUT)
        log.info("still here")
        await deferToThread(read_until, connection, "still here")

    async def test_a_connection_that_stays_open_after_its_answer_has_a_time_limit(self) -> None:
        connection = await self.connected(STATUS.replace(b"Connection: close\r\n", b""))
        self.assertIn(b"200 OK", await deferToThread(connection.recv, 65536))
        self.clock.advance(site.REQUEST_TIMEOUT)
        self.assertTrue(await self.is_closed(connection))

    # -- many connections

    async def test_idle_connections_give_way_to_new_ones(self) -> None:
        idle = [await self.connected() for _ in range(site.MOST_CONNECTIONS)]
        await self.until(lambda: len(self.sites[0].idle) == site.MOST_CONNECTIONS)
        await self.works()
        self.assertTrue(await self.is_closed(idle[0]))
        more = await deferToThread(lambda: [self.connect() for _ in range(300)])
        await self.works()
        self.assertLessEqual(len(self.sites[0].idle), site.MOST_CONNECTIONS)
        for connection in [*idle, *more]:
            connection.close()
        await self.until(lambda: not self.sites[0].idle)

    async def test_ten_thousand_idle_connections_take_little_memory(self) -> None:
        tracemalloc.start()
        for _ in range(40):
            many = await deferToThread(lambda: [self.connect(b"GET /sta") for _ in range(250)])
            await self.works()
            for connection in many:
                connection.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(peak, 10 * 1024 * 1024)
        await self.until(lambda: not self.sites[0].idle)

    async def test_the_number_of_followers_is_limited_and_commands_still_work(self) -> None:
        request = STATUS.replace(b"/status", b"/logs?follow=1&tail=0")
        for _ in range(server.MOST_STREAMS):
            await self.connected(request)
        await self.until(lambda: len(self.log.followers) == server.MOST_STREAMS)
        status, answer = await self.answer(request)
        self.assertEqual(status, 503)
        self.assertIn("50 clients follow the log, a handover or the events already", answer["error"])
        for path in (b"/handovers/1", b"/events"):
            self.assertEqual((await self.answer(STATUS.replace(b"/status", path)))[0], 503)
        await self.works()

    async def test_clients_that_do_not_read_the_log_take_little_memory(self) -> None:
        for number in range(1000):
            log.info("{number} {text}", number=number, text="x" * 3000)
        tracemalloc.start()
        for _ in range(40):
            await self.connected(STATUS.replace(b"/status", b"/logs"))
        await self.until(lambda: len(self.sites[0].busy) == 40)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # 3 MB for each of them before.
        self.assertLess(peak, 20 * 1024 * 1024)
        await self.works()

    async def test_a_slow_reader_gets_the_whole_log_that_is_still_there(self) -> None:
        for number in range(1000):
            log.info("entry {number} {text}", number=number, text="x" * 3000)
        connection = await self.connected(STATUS.replace(b"/status", b"/logs"))
        await self.until(lambda: self.sites[0].busy)
        lines = await deferToThread(read_all, connection)
        self.assertEqual(lines.count("entry "), 1000)

    async def test_a_slow_reader_learns_what_was_dropped_meanwhile(self) -> None:
        for number in range(2000):
            log.info("old {number} {text}", number=number, text="x" * 1000)
        connection = await self.connected(STATUS.replace(b"/status", b"/logs"))
        await self.until(lambda: self.sites[0].busy)
        for number in range(2000):
            log.info("new {number}", number=number)
        lines = await deferToThread(read_all, connection)
        self.assertIn("entries left out: this client reads too slowly", lines)
        self.assertNotIn("new ", lines)

    # -- other users

    async def test_another_user_is_refused_before_anything_is_read(self) -> None:
        self.patch(site, "is_allowed", lambda _transport: False)
        connection = await self.connected(post("/deploy", b"{}"))
        answer = (await deferToThread(connection.recv, 65536)).decode()
        self.assertTrue(answer.startswith("HTTP/1.1 403 Forbidden"))
        self.assertIn("this hanoverd belongs to another user", answer)
        self.clock.advance(site.REFUSED_TIMEOUT)
        self.assertTrue(await self.is_closed(connection))
        await self.until(lambda: not self.sites[0].refused)
        self.assertEqual(self.far.deployed, [])

    async def test_another_user_cannot_keep_others_out(self) -> None:
        self.patch(site, "is_allowed", lambda _transport: False)
        others = await deferToThread(lambda: [self.connect(b"GET /sta") for _ in range(200)])
        await self.until(lambda: len(self.sites[0].refused) == site.MOST_REFUSED)
        self.patch(site, "is_allowed", control_socket.is_allowed)
        await self.works()
        self.clock.advance(site.REFUSED_TIMEOUT)
        for connection in others:
            connection.close()
        await self.until(lambda: not self.sites[0].refused)


def read_answer(connection: socket.socket) -> str:
    """Read up to the end; it is a reset if the server has not read all of the request."""
    answer = b""
    try:
        while data := connection.recv(65536):
            answer += data
    except ConnectionResetError:
        pass
    return answer.decode()
