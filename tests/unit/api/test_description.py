"""``openapi.json`` describes what the server does: its paths and methods, and the answers, errors and streams too."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from hanoverd.api import questions, status
from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.server import MOST_STREAMS, ControlServer
from hanoverd.api.status import AppStatus, LiveStatus, VersionStatus
from hanoverd.history import record
from hanoverd.history.record import Drained, HistoryQuery, Origin, Record
from hanoverd.logs.event_ring import FORMAT
from hanoverd.logs.recent import RecentLog
from hanoverd.runtime import extras
from hanoverd.runtime.clock import sleep
from hanoverd.spec.differences import Difference
from hanoverd.text.durations import MOST_SECONDS
from tests.unit.api.test_limits import Deployable, read_answer
from tests.unit.api.test_server import read_all, read_until

REACTOR: Any = reactor
log = Logger()

DESCRIPTION: Any = json.loads(resources.files("hanoverd.api").joinpath("openapi.json").read_text())
SCHEMAS: Any = DESCRIPTION["components"]["schemas"]

VERSION = VersionStatus("far-3", 3, "kept", "app:1", "sha256:1", "build .", "", "", 5.0)
LIVE = LiveStatus(**{**vars(VERSION), "state": "live"}, address="172.17.0.2", since=6.0)
PORT = {
    "host_ip": "0.0.0.0",
    "host_port": 80,
    "container_ip": "172.17.0.2",
    "container_port": 80,
    "protocol": "tcp",
}
HANDOVER = Record(
    1,
    "hanoverd deploy",
    5.0,
    "far",
    [Origin("command", "root", 0)],
    "far-3",
    3,
    changes=[{"place": "User", "live": None, "next": "app"}],
    phases=[("created", 0.5)],
    outcome="live",
    took=1.0,
    drained=[Drained("far-2", 1.0, 3, None)],
)


class Described(Deployable):
    """Something of everything that an answer can have."""

    def status(self) -> AppStatus:
        return AppStatus(
            "far", "live", LIVE, (PORT,), ("far-2",), HANDOVER.json(), True, ("SIGHUP",), 1, (VERSION,), 2, 77, "1.0"
        )

    async def cancel(self, why: str) -> Record | None:
        return replace(HANDOVER, outcome="cancelled", why=why)

    def pause(self) -> None:
        return

    def resume(self) -> tuple[str, ...]:
        return ("SIGHUP",)


async def two_handovers(_query: HistoryQuery) -> list[dict[str, Any]]:
    return [HANDOVER.json(), Record(2, "start", 6.0).json()]


def mistaken(*_arguments: object) -> Any:
    raise IndexError


async def mistaken_later(until: Deferred[Any] | None = None) -> Any:
    if until is not None:
        await until
    raise IndexError


def errors(schema: Any, value: object) -> list[str]:
    """How a value differs from a schema of the description."""
    # The references are looked up in the description.
    return [error.message for error in Draft202012Validator({**DESCRIPTION, **schema}).iter_errors(value)]


def named(name: str) -> Any:
    """A schema of the description."""
    return {"$ref": f"#/components/schemas/{name}"}


def resolved(part: Any) -> Any:
    """What a reference stands for."""
    return DESCRIPTION["components"]["responses"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part


class ValueTests(TestCase):
    """What can be compared without a server."""

    def test_each_value_of_an_answer_is_described(self) -> None:
        for name, known in {
            "Status": AppStatus,
            "Version": VersionStatus,
            "LiveVersion": LiveStatus,
            "Handover": Record,
            "Origin": Origin,
            "Drained": Drained,
            "Difference": Difference,
        }.items():
            names = {field.name for field in fields(known)}
            self.assertEqual(set(SCHEMAS[name]["properties"]), names, name)
            self.assertEqual(set(SCHEMAS[name]["required"]), names, name)

    def test_the_words_of_the_values_are_those_of_the_code(self) -> None:
        self.assertEqual(
            SCHEMAS["Status"]["properties"]["state"]["enum"],
            [status.LIVE, status.HANDING_OVER, status.DOWN, status.STOPPING, status.NO_DAEMON],
        )
        self.assertEqual(
            set(SCHEMAS["Handover"]["properties"]["outcome"]["enum"]),
            {
                record.UNDER_WAY,
                record.LIVE,
                record.FAILED,
                record.CANCELLED,
                record.UNCHANGED,
                record.INTERRUPTED,
            },
        )
        self.assertEqual(
            SCHEMAS["Origin"]["properties"]["kind"]["enum"],
            [record.START, record.SIGNAL, record.COMMAND, record.HOOKBOT, record.RESTART, record.OTHER],
        )
        self.assertEqual(SCHEMAS["Event"]["allOf"][1]["properties"]["v"], {"const": FORMAT})

    def test_the_limits_are_those_of_the_code(self) -> None:
        [limit, _] = DESCRIPTION["paths"]["/history"]["get"]["parameters"]
        self.assertEqual(
            (limit["schema"]["maximum"], limit["schema"]["default"]), (record.MOST_HANDOVERS, record.DEFAULT_LIMIT)
        )
        body = DESCRIPTION["paths"]["/deploy"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        self.assertEqual(body["properties"]["status_timeout"]["maximum"], MOST_SECONDS)
        tail = DESCRIPTION["paths"]["/logs"]["get"]["parameters"][0]
        self.assertEqual(tail["schema"]["maximum"], questions.MOST)
        self.assertIn(
            f"{MOST_STREAMS} clients follow", DESCRIPTION["components"]["responses"]["Unavailable"]["description"]
        )


class DescriptionTests(TestCase):
    """Each answer of the real server is compared with the description."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "far.sock")
        self.far, self.log = Described(), RecentLog()
        environ = {"HANOVERD_RUNTIME_DIR": folder.name}
        self.server = ControlServer(
            REACTOR, cast("Control", self.far), self.log, lambda site: listen(REACTOR, environ, "far", site)
        )
        self.server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.close()))

    def send(self, request: str, body: str = "") -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(20)
        connection.connect(str(self.path))
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        connection.sendall(f"{request} HTTP/1.0\r\nHost: x\r\n{length}\r\n{body}".encode())
        return connection

    async def answer(self, request: str, body: str = "") -> tuple[int, dict[str, str], str]:
        """Return the status, the headers and the body of an answer."""
        connection = await deferToThread(self.send, request, body)
        head, _, content = (await deferToThread(read_answer, connection)).partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers, content

    def assert_described(self, operation: str, code: int, headers: dict[str, str], content: str) -> Any:
        """Compare an answer with the description of ``METHOD /path``; return its JSON."""
        method, path = operation.split()
        responses = DESCRIPTION["paths"][path][method.lower()]["responses"]
        self.assertIn(str(code), responses, operation)
        described = resolved(responses[str(code)])["content"]
        kind = headers["content-type"].partition(";")[0]
        self.assertIn(kind, described, operation)
        if kind != "application/json" or not content:
            return None
        value = json.loads(content)
        self.assertEqual(errors(described[kind]["schema"], value), [], operation)
        return value

    async def check(self, operation: str, code: int, request: str = "", body: str = "") -> Any:
        """Send a request; it must be answered with a status, and as it is described."""
        found, headers, content = await self.answer(request or operation, body)
        self.assertEqual(found, code, content)
        return self.assert_described(operation, found, headers, content)

    def test_it_has_exactly_the_paths_and_methods_that_are_answered(self) -> None:
        described = {
            (path, method.upper()) for path, operations in DESCRIPTION["paths"].items() for method in operations
        }
        self.assertEqual(described, self.server.paths.operations)

    async def test_every_answer_is_described(self) -> None:
        shown = await self.check("GET /status", 200)
        self.assertEqual((shown["live"]["version"], shown["kept"][0]["version"]), ("far-3", "far-3"))
        await self.check("GET /versions", 200)
        await self.check("GET /diff", 200)
        search = self.patch(self.far, "history", two_handovers)
        self.assertEqual(len(await self.check("GET /history", 200, "GET /history?limit=7&since=24h")), 2)
        search.restore()
        await self.check("GET /logs", 200)
        await self.check("GET /logs", 200, "GET /logs?format=json")
        await self.check("GET /metrics", 200)
        self.assertEqual(await self.check("GET /openapi.json", 200), DESCRIPTION)
        await self.check("POST /deploy", 200, body='{"image": "web:v2", "status_timeout": 1.5, "if_changed": true}')
        await self.check("POST /rollback", 200, body='{"version": 2}')
        self.assertEqual((await self.check("POST /cancel", 200))["handover"]["outcome"], "cancelled")
        await self.check("POST /pause", 200)
        self.assertEqual(await self.check("POST /resume", 200), {"held": ["SIGHUP"]})
        self.assertEqual((await self.check("POST /stop", 200))["pid"], os.getpid())
        await self.check("POST /pause", 503)

    async def test_every_error_is_described(self) -> None:
        for operation in ("GET /history", "GET /logs", "GET /events"):
            await self.check(operation, 400, f"{operation}?since=yesterday")
        await self.check("POST /deploy", 400, body='{"imige": "web:v2"}')
        await self.check("POST /rollback", 400, body='{"version": -1}')
        await self.check("POST /deploy", 413, body="x" * 70_000)
        await self.check("POST /stop", 413, body="x" * 70_000)
        await self.check("GET /handovers/{id}", 404, "GET /handovers/9")
        self.patch(extras, "find_spec", lambda _name: None)
        await self.check("GET /metrics", 501)
        self.far.is_engine_away = True
        await self.check("GET /versions", 502)
        await self.check("GET /diff", 409)

    async def test_a_mistake_in_hanoverd_is_an_error_and_is_logged(self) -> None:
        self.patch(self.far, "status", mistaken)
        self.patch(self.far, "history", mistaken)
        self.patch(self.far, "versions", mistaken_later)
        for operation in ("GET /status", "GET /history", "GET /versions"):
            self.assertIn("see the log", (await self.check(operation, 500))["error"])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 3)

    async def test_the_stream_of_a_handover_that_fails_in_the_middle_is_cut_off(self) -> None:
        ended: Deferred[Record] = Deferred()
        self.patch(self.far, "ended", lambda _number: mistaken_later(ended))
        connection = await deferToThread(self.send, "GET /handovers/1 HTTP/1.1\r\nX: y")
        await deferToThread(read_until, connection, "\r\n\r\n")
        ended.callback(self.far.record)
        answer = await deferToThread(read_all, connection)
        # Without the last chunk, which says that all is there.
        self.assertEqual(answer, "")
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    async def test_the_lines_of_the_streams_are_described(self) -> None:
        connections = [
            await deferToThread(self.send, request)
            for request in ("GET /events?output=1", "GET /logs?format=json&follow=1", "GET /handovers/1")
        ]
        while not (len(self.log.followers) == 2 and self.log.events.followers):
            await sleep(REACTOR, 0.01)
        log.warn("web: paused", event="paused", app="web")
        log.info("{version}  | {line}", event="output", version="web-3", line="listens")
        self.far.history.finish(self.far.record, record.LIVE)
        await Deferred.fromCoroutine(self.server.close())
        events, lines, handover = [
            (await deferToThread(read_all, connection)).partition("\r\n\r\n")[2] for connection in connections
        ]
        found = [json.loads(data) for data in re.findall("^data: (.*)$", events, re.MULTILINE)]
        self.assertEqual([one["event"] for one in found], ["paused", "output"])
        for event in found:
            self.assertEqual(errors(named("Event"), event), [])
        self.assertEqual(len(lines.splitlines()), 2)
        for line in lines.splitlines():
            self.assertEqual(errors(named("LogEntry"), json.loads(line)), [])
        *_, last = [json.loads(line) for line in handover.splitlines()]
        self.assertEqual(last["handover"]["outcome"], "live")
        for line in handover.splitlines():
            self.assertEqual(errors(named("HandoverLine"), json.loads(line)), [])

    async def test_the_schemas_refuse_what_is_wrong(self) -> None:
        right = self.far.status().json()
        self.assertEqual(errors(named("Status"), json.loads(json.dumps(right))), [])
        changes: list[dict[str, Any]] = [
            {"app": 3},
            {"live": {}},
            {"state": "fine"},
            {"ports": [{}]},
            {"handover": {"id": "1"}},
        ]
        for wrong in changes:
            self.assertNotEqual(errors(named("Status"), json.loads(json.dumps({**right, **wrong}))), [], wrong)

    async def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_takes(self) -> None:
        for request, allow in (
            ("POST /status", "GET, HEAD, OPTIONS"),
            ("TRACE /handovers/1", "GET, HEAD, OPTIONS"),
            ("GET /deploy", "POST, OPTIONS"),
            ("HEAD /stop", "POST, OPTIONS"),
            ("QUERY /stop", "POST, OPTIONS"),
        ):
            code, headers, _ = await self.answer(request)
            self.assertEqual((code, headers["allow"]), (405, allow), request)
        self.assertFalse(self.far.is_stopping)

    async def test_options_are_answered_with_the_methods(self) -> None:
        for path, allow in (("/status", "GET, HEAD, OPTIONS"), ("/stop", "POST, OPTIONS")):
            code, headers, content = await self.answer(f"OPTIONS {path}")
            self.assertEqual((code, headers["allow"], content), (200, allow, ""))
            self.assertNotIn("content-type", headers)
        self.assertEqual((await self.answer("OPTIONS /nothing"))[0], 404)

    async def test_head_is_answered_as_get_without_a_body(self) -> None:
        for path in ("/status", "/versions", "/logs", "/logs?follow=1", "/events", "/handovers/1", "/openapi.json"):
            code, headers, content = await self.answer(f"HEAD {path}")
            self.assertEqual((code, content), (200, ""), path)
            self.assert_described(f"GET {re.sub('1$', '{id}', path).partition('?')[0]}", code, headers, "")
        self.assertEqual((await self.answer("HEAD /handovers/9"))[0], 404)
        self.assertEqual((await self.answer("HEAD /events?since=x"))[0], 400)
        self.assertEqual((self.log.followers, self.log.events.followers), (set(), set()))
        self.assertEqual([entry.text for entry in self.log.entries], [])

    async def test_a_path_is_all_of_a_path(self) -> None:
        for path in ("/", "/status/", "/handovers", "/handovers/", "/handovers/x/1", "/handovers/1/", "//status"):
            self.assertEqual((await self.answer(f"GET {path}"))[0], 404, path)

    async def test_a_parameter_is_there_once_and_is_what_it_must_be(self) -> None:
        for query in (
            "tail=1&tail=2",
            "tail=",
            "follow=2",
            "timestamps=true",
            f"tail={2**53}",
            "format=",
            "source=app&source=app",
        ):
            self.assertEqual((await self.answer(f"GET /logs?{query}"))[0], 400, query)
        # As older clients ask, and as a newer one may.
        self.assertEqual((await self.answer("GET /logs?source=&tail=2&colour=1"))[0], 200)

    async def test_the_number_of_a_version_is_any_whole_number_of_json(self) -> None:
        for number in ("3", "3.0", "3e0"):
            self.assertEqual((await self.answer("POST /rollback", f'{{"version": {number}}}'))[0], 200, number)
        for number in ("3.5", "true", '"3"', "1e300", "-0.5", str(2**63), "NaN"):
            self.assertEqual((await self.answer("POST /rollback", f'{{"version": {number}}}'))[0], 400, number)
        self.assertEqual(self.far.rolled_back, [3, 3, 3])

    async def test_where_a_stream_of_events_starts_is_right_in_the_query_and_in_the_header(self) -> None:
        for request in (
            "GET /events?since=",
            "GET /events?since=x HTTP/1.0\r\nLast-Event-ID: 00000000-0-0\r\nX: y",
            "GET /events?since=5 HTTP/1.0\r\nLast-Event-ID: x\r\nX: y",
        ):
            self.assertEqual((await self.answer(request))[0], 400, request)
        # An empty header is none.
        self.assertEqual((await self.answer("HEAD /events?since=5 HTTP/1.0\r\nLast-Event-ID:\r\nX: y"))[0], 200)

    async def test_a_body_is_json_whatever_its_type(self) -> None:
        # As curl --data sends it.
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "x"):
            request = f"POST /deploy HTTP/1.0\r\nContent-Type: {kind}\r\nX: y"
            connection = await deferToThread(self.send, request, '{"image": "web:v2"}')
            self.assertIn("200 OK", await deferToThread(read_all, connection))
        self.assertEqual(self.far.deployed, ["web:v2"] * 3)
