"""The stream of events, on a real socket: its form, and clients that come back, read slowly, or do not read."""

from __future__ import annotations

import json
import socket
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from hanoverd.api import event_stream
from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.server import ControlServer
from hanoverd.history.record import Record
from hanoverd.logs import event_ring
from hanoverd.logs.recent import RecentLog
from hanoverd.runtime.clock import sleep
from tests.unit.api.test_server import Far, read_all

REACTOR: Any = reactor
log = Logger()


class Client:
    """Reads a stream as the HTML Standard says."""

    def __init__(self, path: Path, request: str, *headers: str, buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        # HTTP/1.0 has no chunks.
        lines = [f"GET {request} HTTP/1.0", "Host: x", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("r", encoding="utf-8", newline="\n")
        self.last_id = ""
        self.comments = 0
        #: How many events it has received so far.
        self.received = 0

    def head(self) -> str:
        """The head of the answer."""
        return "".join(iter(self.file.readline, "\r\n"))

    def event(self) -> dict[str, Any] | None:
        """The next event; None for a comment or an ID alone."""
        fields: dict[str, str] = {}
        while (line := self.file.readline()) != "\n":
            assert line, "the stream has ended"
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
        self.last_id = fields.get("id", self.last_id)
        if "data" not in fields:
            self.comments += ":" in fields
            return None
        data: dict[str, Any] = json.loads(fields["data"])
        assert (data["event"], data["id"], data["v"]) == (fields["event"], fields["id"], 1)
        return data

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next events."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            event = self.event()
            found += [] if event is None else [event]
            self.received += event is not None
        return found


class EventsTests(TestCase):
    """Asked over real sockets; only the keep-alive has a clock of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        environ = {"HANOVERD_RUNTIME_DIR": folder.name}
        self.path = Path(folder.name, "far.sock")
        self.clock, self.log = Clock(), RecentLog()
        self.server = ControlServer(
            self.clock, cast("Control", Far()), self.log, lambda site: listen(REACTOR, environ, "far", site)
        )
        self.server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.close()))

    async def client(self, request: str = "/events", *headers: str, buffer: int | None = None) -> Client:
        """A client whose stream has begun."""

        def start() -> Client:
            made = Client(self.path, request, *headers, buffer=buffer)
            assert " 200 OK" in made.head()
            assert made.event() is None
            return made

        client = await deferToThread(start)
        self.addCleanup(client.file.close)
        self.addCleanup(client.socket.close)
        return client

    async def until(self, holds: Any) -> None:
        for _ in range(1000):
            if holds():
                return
            await sleep(REACTOR, 0.01)
        raise AssertionError("not within 10 seconds")

    async def test_its_form_is_that_of_server_sent_events(self) -> None:
        client = await deferToThread(Client, self.path, "/events")
        head = (await deferToThread(client.head)).lower()
        self.assertIn("content-type: text/event-stream; charset=utf-8", head)
        self.assertIn("cache-control: no-store", head)
        self.assertIsNone(await deferToThread(client.event))
        self.assertRegex(client.last_id, "^[0-9a-f]{8}-0-0$")
        log.info("{version}: failed:\nso\r\nit is", event="failed", version="web-3", secret="hidden")
        [event] = await deferToThread(client.events, 1)
        self.assertEqual((event["event"], event["version"]), ("failed", "web-3"))
        self.assertEqual(event["message"], "web-3: failed:\nso\r\nit is")
        self.assertEqual(client.last_id, event["id"])
        self.assertNotIn("hidden", json.dumps(event))
        client.socket.close()

    async def test_the_name_of_an_event_cannot_start_a_field(self) -> None:
        client = await self.client()
        log.info("odd", event="odd\ndata: {}")
        await deferToThread(client.file.readline)
        self.assertEqual(await deferToThread(client.file.readline), "event: odd\\ndata: {}\n")

    async def test_an_event_that_the_log_does_not_show_is_in_the_stream(self) -> None:
        client = await self.client()
        record = Record(3, "start", 1.0, outcome="live").json()
        log.debug("web: handover 3 ended", event="handover_ended", app="web", handover=3, outcome="live", record=record)
        log.debug("debugging", event="nothing")
        log.info("web: paused", event="paused", app="web")
        ended, paused = await deferToThread(client.events, 2)
        self.assertEqual(
            (ended["handover"], ended["record"], paused["event"]), (3, json.loads(json.dumps(record)), "paused")
        )
        self.assertEqual([entry.event for entry in self.log.entries], ["paused"])

    async def test_what_versions_print_is_for_those_who_ask_for_it(self) -> None:
        events, both = await self.client(), await self.client("/events?output=1")
        log.info("{version}  | {line}", event="output", version="web-3", line="listens")
        log.info("web-3: ready", event="ready", version="web-3")
        self.assertEqual([one["event"] for one in await deferToThread(events.events, 1)], ["ready"])
        found = await deferToThread(both.events, 2)
        self.assertEqual([one["event"] for one in found], ["output", "ready"])
        self.assertEqual(found[0]["line"], "listens")

    async def test_a_client_that_comes_back_gets_what_it_has_missed(self) -> None:
        client = await self.client()
        for number in range(3):
            log.info("{number}", event="ready", version=f"web-{number}", number=number)
        await deferToThread(client.events, 1)
        client.file.close()
        client.socket.close()
        for request, header in (
            (f"/events?since={client.last_id}", "X: y"),
            ("/events", f"Last-Event-ID: {client.last_id}"),
            (f"/events?since={self.log.events.run}-0-0", f"Last-Event-ID: {client.last_id}"),
        ):
            again = await self.client(request, header)
            found = await deferToThread(again.events, 2)
            self.assertEqual([one["version"] for one in found], ["web-1", "web-2"])

    async def test_a_client_of_an_earlier_run_gets_all_and_learns_that_more_may_be_missing(self) -> None:
        log.info("web-1: ready", event="ready", version="web-1")
        client = await self.client("/events?since=00000000-5-5")
        missed, ready = await deferToThread(client.events, 2)
        self.assertEqual((missed["event"], missed["count"], ready["event"]), ("missed", None, "ready"))

    async def test_a_query_that_is_wrong_is_refused(self) -> None:
        for request, header in (("/events?since=x", ""), ("/events", "Last-Event-ID: 1-2"), ("/events?output=x", "")):
            client = await deferToThread(Client, self.path, request, *([header] if header else []))
            self.assertIn(" 400 ", await deferToThread(client.head))
            client.file.close()
            client.socket.close()
        self.assertEqual(self.log.events.followers, set())

    async def test_a_comment_keeps_a_quiet_stream_alive(self) -> None:
        client = await self.client()
        self.clock.advance(event_stream.KEEP_ALIVE_INTERVAL)
        self.assertIsNone(await deferToThread(client.event))
        self.assertEqual(client.comments, 1)

    async def test_a_client_that_goes_away_leaves_nothing(self) -> None:
        client = await self.client()
        client.file.close()
        client.socket.close()
        await self.until(lambda: not self.log.events.followers)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_the_stream_ends_with_the_daemon(self) -> None:
        client = await self.client()
        log.info("web: stopping", event="stopping", app="web")
        await Deferred.fromCoroutine(self.server.close())
        self.assertIn("event: stopping", await deferToThread(client.file.read))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_a_client_that_reads_nothing_takes_no_memory_and_goes_on(self) -> None:
        clients = [await self.client("/events?output=1", buffer=4096) for _ in range(20)]
        tracemalloc.start()
        try:
            for number in range(10_000):
                log.info("{number} {text}", event="ready", version="web-1", number=number, text="x" * 1000)
                if number % 100 == 0:
                    await sleep(REACTOR, 0)
                    self.clock.advance(event_stream.KEEP_ALIVE_INTERVAL)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # The kept entries of the log, and the ring, have their own limits; each connection may have some 64 KiB.
        self.assertLess(peak, 30 * 1024 * 1024)
        for client in clients[:2]:
            found: list[int] = []
            missed = 0
            while not found or found[-1] != 9999:
                [event] = await deferToThread(client.events, 1)
                if event["event"] == "missed":
                    missed += event["count"]
                else:
                    found.append(int(event["message"].split()[0]))
            self.assertGreater(missed, 0)
            self.assertEqual(len(found) + missed, 10_000)
            self.assertEqual(found, sorted(found))
            self.assertGreaterEqual(len(found), event_ring.MOST)
            log.info("-1 more", event="ready", version="web-2")
            self.assertEqual((await deferToThread(client.events, 1))[0]["version"], "web-2")

    async def test_a_client_that_reads_gets_every_event_of_a_storm(self) -> None:
        client = await self.client()
        reading = deferToThread(client.events, 5000)
        for number in range(5000):
            log.info("{number}", event="trigger", app="web", number=number)
            if number % 10 == 0:
                await sleep(REACTOR, 0)
            # It may be late, but not by more than the ring keeps.
            while number - client.received > event_ring.MOST // 2:
                await sleep(REACTOR, 0.001)
        self.assertEqual([int(event["message"]) for event in await reading], list(range(5000)))

    async def test_other_requests_are_answered_beside_it(self) -> None:
        await self.client()
        status = await deferToThread(Client, self.path, "/status")
        self.assertIn('"app": "far"', await deferToThread(read_all, status.socket))
        status.file.close()
        status.socket.close()
