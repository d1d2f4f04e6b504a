"""The server by which a daemon is controlled, on a real socket."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import tempfile
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.line_stream import MOST_WAITING
from hanoverd.api.server import ControlServer
from hanoverd.api.status import AppStatus, VersionStatus
from hanoverd.deploy.history import History
from hanoverd.history.record import LIVE, HistoryQuery, Origin, Record
from hanoverd.logs.recent import MOST, MOST_BYTES, RecentLog
from hanoverd.runtime import extras
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ControlError, EngineUnreachable
from hanoverd.spec.differences import Difference

REACTOR: Any = reactor
log = Logger()


class Far:
    """What is controlled, in so far as the server needs it."""

    is_stopping = False
    is_engine_away = False

    def __init__(self) -> None:
        self.history = History(lambda: 0.0, lambda: 0.0)
        self.record = self.history.start(["start"])
        self.origins: list[Origin] = []

    def status(self) -> AppStatus:
        return AppStatus("far", "down", None, (), (), None, False, (), 0, (), 0, 77, "1.0")

    async def versions(self) -> list[VersionStatus]:
        if self.is_engine_away:
            raise EngineUnreachable("no engine answers")
        return [VersionStatus("far-3", 3, "kept", "app:1", "sha256:1", "build .", "", "", 5.0)]

    async def diff(self) -> tuple[str, tuple[Difference, ...]]:
        if self.is_engine_away:
            raise ControlError("no version is live")
        return "far-3", (Difference("User", None, "app"),)

    async def connections(self) -> dict[str, int | None]:
        return {"live": 7, "draining": None}

    def stop(self) -> None:
        self.is_stopping = True

    def rollback(self, number: int | None, reason: str, origin: Origin) -> int:
        self.origins.append(origin)
        return self.history.start([f"{reason}: {number}"]).id

    def is_known(self, number: int) -> bool:
        return number == self.record.id

    async def ended(self, number: int) -> Record:
        ended: Deferred[Record] = Deferred()
        self.history.on_finish(ended.callback)
        return await ended


class ServerTests(TestCase):
    """Asked over plain sockets."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.environ = {"HANOVERD_RUNTIME_DIR": folder.name}
        self.path = Path(folder.name, "far.sock")
        self.far, self.log = Far(), RecentLog()
        self.server = ControlServer(
            REACTOR, cast("Control", self.far), self.log, lambda site: listen(REACTOR, self.environ, "far", site)
        )
        self.server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.close()))

    def connect(self, request: str) -> socket.socket:
        """Ask; the answer is the caller's to read."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(10)
        connection.connect(str(self.path))
        connection.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return connection

    async def answer(self, request: str) -> str:
        """The whole of it."""
        connection = await deferToThread(self.connect, request)
        return await deferToThread(read_all, connection)

    async def lines(self, request: str) -> list[str]:
        """The lines of the body, without the chunks of HTTP/1.1."""
        chunks = (await self.answer(request)).partition("\r\n\r\n")[2].split("\r\n")[1::2]
        return "".join(chunks).splitlines()

    async def until(self, holds: Any) -> None:
        for _ in range(6000):
            if holds():
                return
            await sleep(REACTOR, 0.01)
        raise AssertionError("not within a minute")

    async def test_it_answers(self) -> None:
        answer = await self.answer("GET /status")
        self.assertIn("200 OK", answer)
        status = json.loads(answer.partition("\r\n\r\n")[2])
        self.assertEqual((status["app"], status["pid"], status["live"]), ("far", 77, None))

    async def test_metrics_are_text_for_prometheus(self) -> None:
        log.info("unhealthy", event="unhealthy")
        head, _, body = (await self.answer("GET /metrics")).partition("\r\n\r\n")
        self.assertIn("200 OK", head)
        self.assertIn("Content-Type: text/plain; version=0.0.4", head)
        for line in ('hanoverd_connections{app="far",role="live"} 7.0', 'hanoverd_probe_failures_total{app="far"} 1.0'):
            self.assertIn(line, body)
        self.assertNotIn("draining", body)

    async def test_metrics_say_which_library_is_missing(self) -> None:
        self.patch(extras, "find_spec", lambda _name: None)
        answer = await self.answer("GET /metrics")
        self.assertIn(" 501 ", answer)
        self.assertIn("pip install 'hanoverd[metrics]'", answer)

    async def test_it_lists_the_versions(self) -> None:
        [version] = json.loads("".join(await self.lines("GET /versions")))
        self.assertEqual((version["version"], version["state"], version["source"]), ("far-3", "kept", "build ."))

    async def test_versions_are_not_known_without_the_engine(self) -> None:
        self.far.is_engine_away = True
        answer = await self.answer("GET /versions")
        self.assertIn(" 502 ", answer)
        self.assertIn("no engine answers", answer)

    async def test_it_compares_the_live_version_with_the_next_one(self) -> None:
        [answer] = [json.loads(line) for line in await self.lines("GET /diff")]
        difference = {"place": "User", "live": None, "next": "app", "is_unknown": False}
        self.assertEqual(answer, {"version": "far-3", "differences": [difference]})

    async def test_a_comparison_without_a_live_version_is_an_error(self) -> None:
        self.far.is_engine_away = True
        answer = await self.answer("GET /diff")
        self.assertIn(" 409 ", answer)
        self.assertIn("no version is live", answer)

    async def test_it_shows_the_handovers_that_are_asked_for(self) -> None:
        asked: list[HistoryQuery] = []

        async def search(query: HistoryQuery) -> list[dict[str, Any]]:
            asked.append(query)
            return [self.far.record.json()]

        self.patch(self.far, "history", search)
        [line] = await self.lines("GET /history")
        self.assertEqual(json.loads(line), [self.far.record.json()])
        await self.answer("GET /history?since=1000.5&limit=7")
        await self.answer("GET /history?since=2026-11-28T00:00:00Z&limit=1000")
        self.assertEqual(asked, [HistoryQuery(100), HistoryQuery(7, 1000.5), HistoryQuery(1000, 1795824000.0)])
        for wrong in ("limit=0", "limit=1001", "limit=x", "since=yesterday", "since=-1h"):
            self.assertIn("400 Bad Request", await self.answer(f"GET /history?{wrong}"))

    async def test_it_knows_who_asks(self) -> None:
        await self.answer("POST /rollback")
        self.assertEqual(self.far.origins, [Origin("command", pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())])

    async def test_it_stops(self) -> None:
        answer = await self.answer("POST /stop")
        self.assertEqual(json.loads(answer.partition("\r\n\r\n")[2]), {"pid": os.getpid(), "unit": None})
        self.assertTrue(self.far.is_stopping)

    async def test_it_takes_no_orders_while_it_stops(self) -> None:
        self.far.is_stopping = True
        self.assertIn("503", await self.answer("POST /deploy"))
        self.assertIn("hanoverd is stopping", await self.answer("POST /pause"))
        self.assertIn("200 OK", await self.answer("GET /status"))

    async def test_the_last_entries_of_the_log_are_kept(self) -> None:
        for number in range(MOST + 10):
            log.info("entry {number}\nof two lines", number=number)
        self.assertEqual(len(self.log.entries), MOST)
        self.assertEqual(
            await self.lines("GET /logs?tail=2"),
            [f"entry {MOST + 8}", "    of two lines", f"entry {MOST + 9}", "    of two lines"],
        )

    async def test_the_entries_that_are_kept_have_a_size(self) -> None:
        for _ in range(300):
            log.info("{version}  | {line}", event="output", version="web-1", line="x" * 100_000)
        self.assertLess(sum(entry.size for entry in self.log.entries), MOST_BYTES)
        self.assertGreater(sum(entry.size for entry in self.log.entries), MOST_BYTES / 2)

    async def test_the_log_is_filtered_by_its_source(self) -> None:
        log.info("web-3: ready in 4ms", event="ready", version="web-3")
        log.info("{version}  | {line}", event="output", version="web-3", line="listens")
        self.assertEqual(await self.lines("GET /logs?source=app"), ["web-3  | listens"])
        self.assertEqual(await self.lines("GET /logs?source=daemon"), ["web-3: ready in 4ms"])
        self.assertEqual(len(await self.lines("GET /logs")), 2)

    async def test_the_log_has_timestamps_where_they_are_asked_for(self) -> None:
        log.info("web: paused")
        [line] = await self.lines("GET /logs?timestamps=1")
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S+[+-]\d\d:\d\d web: paused$")

    async def test_the_log_is_shown_since_a_time(self) -> None:
        log.info("web: paused")
        self.assertEqual(await self.lines("GET /logs?since=99999999999"), [])
        self.assertEqual(await self.lines("GET /logs?since=1"), ["web: paused"])

    async def test_the_log_as_json_is_an_object_per_line(self) -> None:
        log.info("{version}: ready", event="ready", version="web-3")
        log.error("web: no\nbecause")
        ready, error = map(json.loads, await self.lines("GET /logs?format=json"))
        self.assertEqual((ready["event"], ready["version"], ready["message"]), ("ready", "web-3", "web-3: ready"))
        self.assertEqual((error["level"], error["message"]), ("error", "web: no\nbecause"))

    async def test_a_follower_gets_what_it_asked_for(self) -> None:
        connection = await deferToThread(self.connect, "GET /logs?follow=1&source=app&format=json")
        await self.until(lambda: self.log.followers)
        log.info("web-3: ready", event="ready", version="web-3")
        log.info("{version}  | {line}", event="output", version="web-3", line="listens")
        await Deferred.fromCoroutine(self.server.close())
        answer = await deferToThread(read_all, connection)
        self.assertIn('"line": "listens"', answer)
        self.assertNotIn("ready", answer)

    async def test_a_query_of_the_log_that_is_wrong_is_refused(self) -> None:
        for query in ("tail=x", "since=-1", "source=nobody", "format=xml", f"tail={'9' * 5000}"):
            self.assertIn("400", await self.answer(f"GET /logs?{query}"))

    async def test_twisteds_own_messages_are_not_kept(self) -> None:
        Logger("twisted.web.client").info("Starting factory")
        Logger("twisted.web.client").warn("no answer")
        self.assertEqual(await self.lines("GET /logs"), ["WARN no answer"])

    async def test_an_internal_error_is_kept_with_its_traceback(self) -> None:
        try:
            raise KeyError("what")
        except KeyError:
            log.failure("internal error")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertIn("KeyError: 'what'", self.log.entries[-1].text)

    async def flood(self, lines: int) -> int:
        """Log long lines, with turns of the reactor between them; return how many bytes."""
        for number in range(lines):
            log.info("{version}  | {line}", event="output", version="web-1", line="x" * 10_000)
            if number % 10 == 0:
                await sleep(REACTOR, 0)
        return lines * 10_000

    async def test_who_follows_and_does_not_read_fills_no_memory_and_learns_what_was_left_out(self) -> None:
        for query in ("", "&format=json"):
            connection = await deferToThread(self.connect, f"GET /logs?follow=1&tail=0&source=app{query}")
            await self.until(lambda: self.log.followers)
            self.assertGreater(await self.flood(1000), 5 * MOST_WAITING)
            answer = await deferToThread(read_until, connection, "this client reads too slowly")
            left_out = re.search(r"(\d+) entries left out", answer)
            assert left_out is not None
            self.assertLess(len(answer), 4 * MOST_WAITING)
            self.assertEqual(len(re.findall("web-1  . x{10000}", answer)) + int(left_out[1]), 1000)
            # It follows on.
            log.info("{version}  | {line}", event="output", version="web-1", line="the next line")
            await deferToThread(read_until, connection, "the next line")
            connection.close()
            await self.until(lambda: not self.log.followers)

    async def test_who_waits_for_a_handover_and_reads_slowly_learns_its_outcome(self) -> None:
        connection = await deferToThread(self.connect, "GET /handovers/1")
        await self.until(lambda: self.log.followers)
        await self.flood(1000)
        self.far.history.finish(self.far.record, LIVE)
        answer = await deferToThread(read_all, connection)
        self.assertIn(" left out: this client reads too slowly", answer)
        self.assertIn('"outcome": "live"', answer)
        self.assertLess(len(answer), 3 * MOST_WAITING)

    async def test_who_follows_and_goes_away_is_forgotten(self) -> None:
        for request in ("GET /logs?follow=1", "GET /handovers/1"):
            connection = await deferToThread(self.connect, request)
            await self.until(lambda: self.log.followers)
            connection.close()
            await self.until(lambda: not self.log.followers)

    async def test_a_handover_is_followed_to_its_end(self) -> None:
        connection = await deferToThread(self.connect, "GET /handovers/1")
        await self.until(lambda: self.log.followers)
        log.info("on the way")
        self.far.history.finish(self.far.record, LIVE)
        answer = await deferToThread(read_all, connection)
        self.assertIn("on the way", answer)
        self.assertIn('"outcome": "live"', answer)

    async def test_a_handover_that_is_not_known_is_not_waited_for(self) -> None:
        for number in ("2", "x", "9" * 5000):
            self.assertIn("404", await self.answer(f"GET /handovers/{number}"))
        self.assertEqual(self.log.followers, set())

    async def test_who_waits_at_the_end_is_let_go(self) -> None:
        connection = await deferToThread(self.connect, "GET /handovers/1")
        await self.until(lambda: self.log.followers)
        await Deferred.fromCoroutine(self.server.close())
        self.assertNotIn("outcome", await deferToThread(read_all, connection))
        self.assertFalse(self.path.exists())

    async def test_one_socket_one_daemon(self) -> None:
        with self.assertRaisesRegex(
            ControlError, "another process listens on .*far.sock: a hanoverd of an older version"
        ):
            await deferToThread(listen, REACTOR, self.environ, "far", None)  # type: ignore[arg-type]
        self.assertIn("200 OK", await self.answer("GET /status"))

    async def test_where_no_socket_can_be_made(self) -> None:
        with self.assertRaisesRegex(
            ControlError, "set HANOVERD_RUNTIME_DIR to a folder that only this user may write to"
        ):
            listen(REACTOR, {"HANOVERD_RUNTIME_DIR": "/proc/nothing"}, "far", None)  # type: ignore[arg-type]


def read_all(connection: socket.socket) -> str:
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer.decode()


def read_until(connection: socket.socket, text: str) -> str:
    answer = b""
    while text.encode() not in answer[-65536 - len(text) :]:
        data = connection.recv(65536)
        assert data, "the answer has ended"
        answer += data
    return answer.decode()
