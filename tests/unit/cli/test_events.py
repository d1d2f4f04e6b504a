"""``hanoverd events`` and ``status --watch``, with a socket that answers as a daemon does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import pytest

from hanoverd.cli.client import event_stream
from hanoverd.cli.client.event_stream import handover_parts, open_events, show_events, watch_status
from hanoverd.daemons.connection import Daemon
from hanoverd.runtime.errors import ControlError
from hanoverd.spec.programs import RemoteCommand
from hanoverd.text.moments import Moment

START = "retry: 1000\nid: 3f9a1c20-0-0\n\n"


def block(number: int, message: str, kind: str = "live") -> str:
    data = {"v": 1, "id": f"3f9a1c20-{number}-0", "time": "2026-03-01T14:03:22", "event": kind, "message": message}
    return f"id: {data['id']}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


class FakeDaemon(ThreadingUnixStreamServer):
    """Answers ``/status`` with a number that grows, up to ``last``; then the daemon has ended.

    ``events`` yields the parts of the stream; None stands for an older daemon, which has none.
    """

    daemon_threads = True

    def __init__(self, path: Path, last: int, events: Callable[[], Iterator[str]] | None) -> None:
        super().__init__(str(path), Handler)
        self.last, self.events = last, events
        self.asked: list[str] = []
        self.history: list[dict[str, Any]] = []

    def get_request(self) -> tuple[Any, Any]:
        connection, _ = super().get_request()
        # The handler wants an address.
        return connection, ("", 0)


class Handler(BaseHTTPRequestHandler):
    server: FakeDaemon

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        statuses = self.server.asked.count("/status")
        if self.path == "/status":
            if statuses <= self.server.last:
                self.answer(200, json.dumps({"app": "web", "number": statuses}))
        elif self.path == "/history":
            self.answer(200, json.dumps(self.server.history))
        elif self.server.events is None:
            self.answer(404, '{"error": "unknown path or method"}')
        else:
            self.answer(200, "")
            for part in self.server.events():
                self.wfile.write(part.encode())

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # its name in the library
        """Print nothing."""


Serve = Callable[..., tuple[Daemon, FakeDaemon]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers = []

    def start(events: Callable[[], Iterator[str]] | None, last: int = 0) -> tuple[Daemon, FakeDaemon]:
        server = FakeDaemon(tmp_path / "web.sock", last, events)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,)).start()
        return Daemon("web", tmp_path / "web.sock", (os.geteuid(),)), server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def command(**values: Any) -> RemoteCommand:
    return RemoteCommand("events", "web", **values)


def test_events_are_shown_one_a_line_without_control_characters(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon, server = serve(
        lambda: iter([START, ":\n\n", block(1, "web-3: failed:\n\x1b[2Jso"), block(2, "SIGTERM", "stopping")])
    )
    assert show_events(daemon, command()) == 0
    assert capsys.readouterr() == (
        "2026-03-01T14:03:22 live web-3: failed:\\n\\x1b[2Jso\n2026-03-01T14:03:22 stopping SIGTERM\n",
        "",
    )
    assert server.asked == ["/events"]


def test_the_end_of_a_daemon_that_does_not_stop_is_an_error(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    daemon, _ = serve(lambda: iter([START, block(1, "web-3: live")]))
    assert show_events(daemon, command()) == 1
    assert "web has ended without a stop" in capsys.readouterr().err


def test_events_as_json_are_an_object_a_line(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    daemon, _ = serve(lambda: iter([START, block(1, "one"), block(2, "two")]))
    show_events(daemon, command(json=True))
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["message"]) for one in shown] == [("3f9a1c20-1-0", "one"), ("3f9a1c20-2-0", "two")]


def test_what_is_asked_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.5)
    daemon, server = serve(lambda: iter([START]))
    show_events(daemon, command(since=Moment(ago=600.0)))
    show_events(daemon, command(since_id="3f9a1c20-17-2", output=True))
    assert server.asked == ["/events?since=400", "/events?since=3f9a1c20-17-2&output=1"]


def parts(daemon: Daemon, handover: int) -> list[Any]:
    events = open_events(daemon)
    assert events is not None
    return list(handover_parts(daemon, events, handover))


def test_a_handover_is_followed_to_its_end(serve: Serve) -> None:
    events = [
        {"event": "ready", "level": "info", "message": "web-3: ready"},
        {"event": "output", "level": "info", "message": "web-3  | \x1b[31mred\x1b[0m\nweb: a line of its own"},
        {"event": "handover_ended", "handover": 6, "record": {"id": 6}},
        {"event": "failed", "level": "error", "message": "web-3: failed:\nweb: as it seems\x07"},
        {"event": "other", "level": "critical", "message": "a mistake", "traceback": "Traceback\nKeyError\n"},
        {"event": "handover_ended", "handover": 7, "record": {"id": 7}},
        {"event": "ready", "level": "info", "message": "not read"},
    ]
    daemon, _ = serve(lambda: iter([START, ":\n\n", *(f"data: {json.dumps(one)}\n\n" for one in events)]))
    *lines, last = parts(daemon, 7)
    assert last["handover"]["id"] == 7
    assert lines == [
        {"line": "web-3: ready"},
        {"line": "web-3  | red\\nweb: a line of its own"},
        {"line": "ERROR web-3: failed:\n    web: as it seems\\a"},
        {"line": "CRITICAL a mistake\n    Traceback\n    KeyError"},
    ]


def test_the_end_of_a_handover_that_was_missed_is_in_the_history(serve: Serve) -> None:
    missed = {"event": "missed", "level": "warn", "message": "events: 9 events are missing", "count": 9}
    ready = {"event": "ready", "level": "info", "message": "web-3: ready"}
    daemon, server = serve(lambda: iter([START, *(f"data: {json.dumps(one)}\n\n" for one in (missed, ready))]))
    lines = [{"line": "WARN events: 9 events are missing"}]
    server.history = [{"id": 7, "took": None}, {"id": 8, "took": 1.0}]
    assert parts(daemon, 7) == [*lines, {"line": "web-3: ready"}]
    server.history = [{"id": 7, "took": 2.0}, {"id": 8, "took": 1.0}]
    *before, last = parts(daemon, 7)
    assert (before, last["handover"]["id"], last["handover"]["took"]) == (lines, 7, 2.0)


def test_an_older_daemon_has_no_events(serve: Serve) -> None:
    daemon, _ = serve(None)
    assert open_events(daemon) is None


def test_a_status_is_asked_for_at_events_only(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_POLL_INTERVAL", 0.1)

    def asked(times: int) -> bool:
        """Wait for so many requests, and return whether there are no more soon after."""
        while server.asked.count("/status") < times:
            time.sleep(0.01)
        time.sleep(0.5)
        return server.asked.count("/status") == times

    def events() -> Iterator[str]:
        yield START
        # Each time a second look follows the first one.
        found.append(asked(2))
        yield block(1, "live")
        found.append(asked(4))

    found: list[bool] = []
    daemon, server = serve(events, last=5)
    with pytest.raises(ControlError, match="the hanoverd that serves web does not answer"):
        watch_status(daemon, command(json=True))
    assert found == [True, True]
    assert [json.loads(line)["number"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3, 4, 5]


def test_on_a_terminal_the_status_is_drawn_again_because_its_ages_change(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_POLL_INTERVAL", 0.01)
    monkeypatch.setattr(event_stream, "_REFRESH_INTERVAL", 0.01)
    monkeypatch.setattr(event_stream, "status_text", lambda status, _: f"status {status['number']}\x07")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    drawn: list[str] = []

    def events() -> Iterator[str]:
        yield START
        # Twice it is asked for, and then only drawn.
        while drawn.count("status 2\\a") < 5:
            drawn.extend(capsys.readouterr().out.replace("\x1b[2J\x1b[H", "").splitlines())
            time.sleep(0.01)

    daemon, server = serve(events, last=2)
    with pytest.raises(ControlError):
        watch_status(daemon, command())
    assert drawn[0] == "status 1\\a"
    assert set(drawn) == {"status 1\\a", "status 2\\a"}
    # The third time, there was no daemon any more.
    assert server.asked.count("/status") == 3


def test_the_status_of_an_older_daemon_is_asked_for_again_and_again(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_POLL_INTERVAL", 0.01)
    daemon, server = serve(None, last=10)
    with pytest.raises(ControlError):
        watch_status(daemon, command(json=True))
    assert len(capsys.readouterr().out.splitlines()) == 10
    assert server.asked.count("/events") == 1
