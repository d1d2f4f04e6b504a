"""The stream of events of a real hanoverd: in order, without gaps, across disconnects, storms and clients that do not read."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import IO, Any

from tests.integration.asking import hostname
from tests.integration.conftest import StartDaemon
from tests.integration.test_control import ARGUMENTS, URL, Commands
from tests.integration.test_output import let_print, resident_memory
from tests.lab.daemon import Daemon
from tests.lab.host import Lab

HANDOVER = ["trigger", "obtaining", "obtained", "created", "started", "ready", "routed", "live"]


class Stream:
    """``curl`` that reads the stream of the app ``web``."""

    def __init__(self, lab: Lab, query: str = "") -> None:
        self._curl = subprocess.Popen(
            ["curl", "-sSN", "--unix-socket", str(lab.runtime / "web.sock"), f"http://web/events{query}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._curl.stdout
        self._lines = self._curl.stdout
        self._next: list[dict[str, Any]] = []
        self.last_id = ""

    def event(self) -> dict[str, Any]:
        """Return the next event."""
        for line in self._lines:
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "data":
                found: dict[str, Any] = json.loads(value)
                assert (found["id"], found["v"]) == (self.last_id, 1)
                return found
        raise AssertionError("the stream has ended")

    def until(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Return the events up to one of this kind, with these fields."""
        found = [self.event()]
        while found[-1]["event"] != kind or any(found[-1][name] != value for name, value in fields.items()):
            found.append(self.event())
        return found

    def begin(self) -> None:
        """Wait until the stream has begun."""
        while not self.last_id:
            name, _, value = self._lines.readline().rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value

    def end(self) -> None:
        """Disconnect."""
        self._curl.kill()
        self._curl.communicate()


@contextmanager
def streaming(lab: Lab, query: str = "") -> Iterator[Stream]:
    stream = Stream(lab, query)
    try:
        stream.begin()
        yield stream
    finally:
        stream.end()


class SlowClient:
    """Asks for the events and all output, and reads nothing until ``count_until``."""

    def __init__(self, lab: Lab) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(lab.runtime / "web.sock"))
        self._socket.sendall(b"GET /events?output=1 HTTP/1.0\r\nHost: web\r\n\r\n")
        # The stream has begun.
        self._file = self._socket.makefile("r", encoding="utf-8", newline="\n")
        start = next(line for line in self._file if line.startswith("id: "))
        self._start = self._count(start.removeprefix("id: "))

    @staticmethod
    def _count(event_id: str) -> int:
        """Return how many events there were before an ID, with the lines of output."""
        _, events, output = event_id.split("-")
        return int(events) + int(output)

    def count_until(self, kind: str) -> tuple[int, int, int]:
        """Read up to an event of this kind; return how many events came, how many were missed, and how many there were."""
        came = missed = 0
        for line in self._file:
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if event["event"] == "missed":
                    missed += event["count"]
                else:
                    came += 1
                if event["event"] == kind:
                    return came, missed, self._count(event["id"]) - self._start
        raise AssertionError("the stream has ended")

    def close(self) -> None:
        """Disconnect."""
        self._file.close()
        self._socket.close()


def check_handover(commands: Commands, lab: Lab, hanoverd: Daemon) -> str:
    """The events of a handover come in order, to curl and to the command; return the ID of the last one."""
    shown = commands.start("events", "web", "--format", "json", "--since", "1h", "--output")
    assert shown.stdout
    while json.loads(shown.stdout.readline())["event"] != "live":
        pass
    with streaming(lab) as stream:
        hanoverd.hup()
        events = stream.until("live")
        [ended] = [one for one in events if one["event"] == "handover_ended"]
        phases = [one for one in events if one["event"] in HANDOVER]
        assert [one["event"] for one in phases] == HANDOVER
        assert {one["handover"] for one in phases[:-1]} == {ended["handover"]}
        record = ended["record"]
        assert (record["outcome"], record["version"], record["trigger"]) == ("live", "web-1", "SIGHUP")
        stream.until("kept", version="web-0")
        last = stream.last_id
    printed: list[dict[str, Any]] = []
    while "web-1" not in [one.get("version") for one in printed if one["event"] == "live"]:
        printed.append(json.loads(shown.stdout.readline()))
    assert [one["event"] for one in printed if one["event"] in HANDOVER] == HANDOVER
    assert "output" in [one["event"] for one in printed]
    shown.send_signal(SIGINT)
    assert (shown.communicate(timeout=20)[1], shown.returncode) == ("", 130)
    return last


def check_storm(lab: Lab, hanoverd: Daemon, stream: Stream) -> None:
    """Triggers in quick succession: a client that reads gets every event of the log, in its order."""
    position = hanoverd.position
    for _ in range(10):
        number = hanoverd.events("trigger")[-1]["handover"]
        hanoverd.hup()
        hanoverd.wait_event("trigger", after=position, handover=number + 1)
    live = hanoverd.wait_event("live", after=hanoverd.events("trigger")[-1])
    got = [(one["event"], one["message"]) for one in stream.until("live", version=live["version"])]
    # The log has no line for the end of a handover.
    streamed = [one for one in got if one[0] != "handover_ended"]
    events = hanoverd.events(after=position)[: live.position - position]
    logged = [(event.id, event.message) for event in events if event.id != "output"]
    first = next(one for one in logged if one[0] == "trigger")
    assert streamed[streamed.index(first) :] == logged[logged.index(first) :]
    assert len(logged) >= 30
    assert hostname(lab.in_client, URL.format(lab.host_ip)) == live["version"]


def check_slow_clients(commands: Commands, lab: Lab, app_folder: Path, hanoverd: Daemon) -> None:
    """Clients that read nothing while 10,000 lines are logged take little memory, and learn how many they have missed."""
    clients = [SlowClient(lab) for _ in range(20)]
    position, memory = hanoverd.position, resident_memory(hanoverd)
    let_print(app_folder, f"yes {'x' * 300} | head -n 10000; echo the end")
    with streaming(lab) as stream:
        hanoverd.hup()
        assert "missed" not in [one["event"] for one in stream.until("handover_ended", outcome="live")]
    hanoverd.wait_event("output", line="the end", after=position)
    assert resident_memory(hanoverd) - memory < 30
    commands("pause", "web")
    paused = hanoverd.wait_event("paused")
    for client in clients[:2]:
        came, missed, happened = client.count_until("paused")
        assert missed > 5000
        assert came + missed == happened >= paused.position - position > 10_000
    for client in clients:
        client.close()
    hanoverd.wait_status(lambda status: status["state"] == "live")


@contextmanager
def receiving(lab: Lab) -> Iterator[IO[str]]:
    """A receiver of webhooks on the host; yields its output."""
    command = [sys.executable, str(Path(__file__).parents[1] / "lab" / "post_receiver.py"), "8085"]
    with subprocess.Popen(lab.in_host(command), stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout
        try:
            assert receiver.stdout.readline() == "ready\n"
            yield receiver.stdout
        finally:
            receiver.kill()


def check_posts(posts: IO[str], hook: Path) -> None:
    """Each event was posted, signed, as a message for Slack; hooks do not get the secret."""
    texts: list[str] = []
    while not texts or "live" not in texts[-1]:
        post = json.loads(posts.readline())
        digest = hmac.new(b"the secret", post["body"].encode(), hashlib.sha256).hexdigest()
        assert post["headers"]["X-Hanoverd-Signature-256"] == f"sha256={digest}"
        texts.append(json.loads(post["body"])["text"])
    assert sorted(texts) == [
        "web-0: its image is there: hanoverd/web:latest",
        "web-0: live (hanoverd/web:latest)",
        "web-0: ready (hanoverd/web:latest)",
    ]
    assert "HANOVERD_APP=web" in hook.read_text()
    assert "the secret" not in hook.read_text()


def test_what_clients_of_the_stream_get(lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon) -> None:
    commands, hook = Commands(lab), tmp_path / "hook"
    notify = ("--notify", "http://127.0.0.1:8085/", "--notify-format", "slack", "--hook", f"ready=env > {hook}")
    secret = {"HANOVERD_NOTIFY_SECRET": "the secret"}
    arguments = (*ARGUMENTS, *notify, "--drain-timeout", "1s", "-e", "PASSWORD=hunter2")
    with receiving(lab) as posts, daemon(*arguments, cwd=app_folder, env=secret) as hanoverd:
        hanoverd.wait_live("web-0")
        check_posts(posts, hook)
        last = check_handover(commands, lab, hanoverd)
        # What happens while a client is away is there when it comes back.
        hanoverd.hup()
        hanoverd.wait_live("web-2")
        with streaming(lab, f"?since={last}") as stream:
            back = stream.until("live")
            assert [one["event"] for one in back if one["event"] in HANDOVER] == HANDOVER
            check_storm(lab, hanoverd, stream)
        hanoverd.wait_status(lambda status: not status["draining"])
        check_slow_clients(commands, lab, app_folder, hanoverd)
        with streaming(lab, "?since=0") as stream:
            assert "hunter2" not in json.dumps(stream.until("paused"))
        commands("resume", "web")
    # The IDs of another run: all that there is, after a word that more may be missing.
    with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("live")
        with streaming(lab, f"?since={last}") as stream:
            first, *others = stream.until("live")
            assert (first["event"], first["count"], first["reason"]) == ("missed", None, "hanoverd was started again")
            assert others[0]["event"] == "running"
