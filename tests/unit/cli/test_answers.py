"""Each command shows the answers of an older daemon, of a newer one, and of a hostile one."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hanoverd.cli.client import commands, event_stream
from hanoverd.cli.client.commands import run_remote
from hanoverd.daemons.connection import Daemon
from hanoverd.runtime.errors import ControlError
from hanoverd.spec.programs import RemoteCommand
from tests.unit.cli.test_remote import RECORD, STATUS

HANDOVER: Any = {
    **RECORD,
    "app": "web",
    "asked_by": [{"kind": "command", "user": "alice", "uid": 1000, "topic": "", "commit": ""}],
    "changes": [{"place": "Image", "live": "a", "next": "b"}],
    "drained": [{"version": "web-0", "seconds": 1.5, "finished": 3, "cut": None}],
}
EVENT = {"v": 1, "id": "3f9a1c20-1-0", "time": "2026-03-01", "level": "warn", "event": "ended", "message": "web: ended"}
ENDED = {**EVENT, "event": "handover_ended", "handover": 7, "record": HANDOVER}

#: The answers of the daemon of this version, by the command.
ANSWERS: dict[str, dict[str, Any]] = {
    "list": {"/status": STATUS},
    "status": {"/status": STATUS},
    "versions": {"/versions": [STATUS["live"], *STATUS["kept"]]},
    "history": {"/history": [HANDOVER]},
    "diff": {
        "/diff": {
            "version": "web-1",
            "differences": [
                {"place": "Image", "live": "a", "next": "b", "is_unknown": False},
                {"place": "HostConfig.Memory", "live": None, "next": 1024, "is_unknown": True},
            ],
        }
    },
    "events": {"/events": [EVENT, {**EVENT, "event": "output"}]},
    "logs": {"/logs": ["web: ended", "web-1  | it listens"]},
    "cancel": {"/cancel": {"handover": {**HANDOVER, "outcome": "cancelled"}}},
    "resume": {"/resume": {"held": ["SIGHUP"]}},
    "pause": {"/pause": {"paused": True}},
    "stop": {"/stop": {"pid": 2**22 + 1, "unit": "hanoverd@web.service"}},
    "deploy": {"/deploy": {"handover": 7}, "/events": [EVENT, ENDED]},
    "rollback": {"/rollback": {"handover": 7}, "/handovers/7": [{"line": "web: ended"}, {"handover": HANDOVER}]},
}

COMMANDS = [
    *(RemoteCommand(verb, "web", wait=verb in ("deploy", "rollback")) for verb in ANSWERS),
    *(RemoteCommand(verb, "web", json=True) for verb in ("list", "status", "versions", "history", "diff", "events")),
    *(RemoteCommand(verb, "web", trunc=False) for verb in ("list", "versions", "history")),
    RemoteCommand("status", "web", watch=True),
]

#: What shows nothing on a terminal, or more than text; and what starts a line.
HOSTILE = "\x1b[2J\r\x07\x85\u202e\u2028\udc80\nweb: web-9 is live\n  live:      web-9"

WRONG: tuple[Any, ...] = (
    *(None, True, 3, -1.5, "text", HOSTILE, [], [3], [HOSTILE], {}, {"version": HOSTILE}, [[]], [{}]),
    *(float("inf"), float("nan"), 1e300, 10**400, "x" * 100_000),
)


class Far(Daemon):
    """Answers with what it is made with; what it has no answer for, it does not know, as an older daemon."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__("web", Path("/nowhere"), ())
        self.answers = copy.deepcopy(answers)

    def of(self, resource: str) -> Any:
        path = resource.partition("?")[0]
        if path not in self.answers:
            raise ControlError("unknown path")
        return self.answers[path]

    def get(self, resource: str, *, is_short: bool = True) -> Any:
        if resource == "/status" and "/status" not in self.answers:
            # The watching ends.
            raise ControlError("it has ended")
        found = self.of(resource)
        if self.is_watched:
            del self.answers["/status"]
        return found

    def post(self, resource: str, body: object = None, *, is_short: bool = True) -> Any:
        return self.of(resource)

    def lines(self, resource: str) -> Iterator[str]:
        found = self.of(resource)
        if resource.startswith("/events"):
            yield from ["retry: 1000", *(f"data: {json.dumps(one)}" for one in found)]
        else:
            yield from (json.dumps(one) if isinstance(one, dict) else str(one) for one in found)

    def is_running(self) -> bool:
        return False

    is_watched = False


Run = Callable[[RemoteCommand, dict[str, Any]], tuple[str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with a daemon that answers so; returns what it prints, and its error."""

    def run_with(command: RemoteCommand, answers: dict[str, Any]) -> tuple[str, str]:
        far = Far(answers)
        far.is_watched = command.watch
        monkeypatch.setattr(commands, "running_daemons", lambda *_: ([far], []))
        monkeypatch.setattr(commands, "find_daemon", lambda *_: (far, []))
        monkeypatch.setattr(commands, "daemon_of", lambda *_: far)
        monkeypatch.setattr(commands, "_END_TIMEOUT", 0.0)
        monkeypatch.setattr(event_stream, "_POLL_INTERVAL", 0.001)
        monkeypatch.setattr("time.time", lambda: 1000.0)
        error = ""
        try:
            run_remote(command, {"DOCKER_HOST": "unix:///nowhere"}, 0)
        except ControlError as found:
            error = str(found)
        shown = capsys.readouterr()
        return shown.out, f"{error}\n{shown.err}"

    return run_with


def places(value: Any, path: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values within a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(value: Any, path: Sequence[Any]) -> Any:
    for key in path:
        value = value[key]
    return value


def name_of(command: RemoteCommand) -> str:
    return " ".join([command.verb, *(name for name in ("json", "watch") if getattr(command, name)), str(command.trunc)])


each_command = pytest.mark.parametrize("command", COMMANDS, ids=name_of)


@each_command
def test_it_shows_what_a_newer_daemon_answers_as_before(command: RemoteCommand, run: Run) -> None:
    answers = ANSWERS[command.verb]
    newer = copy.deepcopy(answers)
    for path in places(answers):
        found = at(newer, path)
        if isinstance(found, dict):
            found["something_new"] = {"that": ["is", 1, HOSTILE]}
    before, after = run(command, answers), run(command, newer)
    assert before[0]
    if not command.json:
        assert after == before
    elif command.verb != "diff":
        assert "something_new" in after[0]


@each_command
def test_it_shows_what_an_older_daemon_answers_with_fewer_values(command: RemoteCommand, run: Run) -> None:
    answers = ANSWERS[command.verb]
    needed = {"handover", "pid", "differences"}
    for path in places(answers):
        if not isinstance(path[-1], str) or len(path) == 1:
            continue
        older = copy.deepcopy(answers)
        del at(older, path[:-1])[path[-1]]
        out, error = run(command, older)
        if path[-1] in needed and len(path) == 2:
            assert "answers something else than this one can read" in error or out, path
        elif not (command.watch or path[-1] in ("app", "line") or "record" in path or len(path) == 3):
            assert out, path


@each_command
def test_no_answer_is_too_wrong_to_say_so(command: RemoteCommand, run: Run) -> None:
    answers = ANSWERS[command.verb]
    for path in places(answers):
        if len(path) == 1 and path[0] in ("/events", "/logs", "/handovers/7"):
            continue
        for wrong in WRONG:
            hostile = copy.deepcopy(answers)
            at(hostile, path[:-1])[path[-1]] = wrong
            for text in run(command, hostile):
                # Whatever it is: nothing but text, and tabs and newlines, reaches the terminal.
                assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text), path


@each_command
def test_no_value_can_start_a_line(command: RemoteCommand, run: Run) -> None:
    answers = ANSWERS[command.verb]
    for path in places(answers):
        if isinstance(at(answers, path), str) and path[0] != "/logs":
            hostile = copy.deepcopy(answers)
            at(hostile, path[:-1])[path[-1]] = HOSTILE
            lines = [line for text in run(command, hostile) for line in text.splitlines()]
            assert not [line for line in lines if line.startswith(("web: web-9", "  live:      web-9"))], path
