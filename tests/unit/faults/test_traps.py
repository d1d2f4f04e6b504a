"""The traps of the fault campaign make requests to an engine, and programs, fail as asked."""

from __future__ import annotations

import http.client
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.traps import DELAY, DROP_AFTER, DROP_BEFORE, REFUSE, EngineTrap, ProgramTrap, Trouble
from tests.lab.api import call


class FarEngine:
    """An engine that answers every request, and records its path."""

    def __init__(self, path: str) -> None:
        got = self.got = list[str]()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                got.append(self.rfile.readline().decode().split()[1])
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")

        self.server = socketserver.ThreadingUnixStreamServer(path, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FarEngine]:
    engine = FarEngine(str(tmp_path / "engine.sock"))
    yield engine
    engine.close()


@pytest.fixture
def trap(tmp_path: Path, engine: FarEngine) -> Iterator[EngineTrap]:
    trap = EngineTrap(str(tmp_path / "trap.sock"), str(tmp_path / "engine.sock"))
    yield trap
    trap.close()


def ask(trap: EngineTrap, path: str = "/version") -> int:
    return call(trap.path, "GET", path, timeout=5)[0]


def test_without_trouble_requests_are_passed_on(trap: EngineTrap, engine: FarEngine) -> None:
    assert ask(trap) == 200
    assert engine.got == ["/version"]


def test_a_refused_request_does_not_reach_the_engine(trap: EngineTrap, engine: FarEngine) -> None:
    trap.trouble(Trouble(REFUSE))
    assert (ask(trap), engine.got) == (503, [])
    trap.disarm()
    assert ask(trap) == 200


def test_a_request_is_dropped_before_or_after_the_engine_acts(trap: EngineTrap, engine: FarEngine) -> None:
    for kind, got in ((DROP_BEFORE, []), (DROP_AFTER, ["/version"])):
        trap.trouble(Trouble(kind))
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
            ask(trap)
        assert engine.got == got


def test_a_delayed_request_is_passed_on_late(trap: EngineTrap, engine: FarEngine) -> None:
    trap.trouble(Trouble(DELAY, seconds=0.1))
    begun = time.monotonic()
    assert ask(trap) == 200
    assert time.monotonic() - begun > 0.1


def test_trouble_with_a_number_affects_only_that_request_of_those_that_match(
    trap: EngineTrap, engine: FarEngine
) -> None:
    trouble = Trouble(REFUSE, 1, rb"/wait")
    trap.trouble(trouble)
    assert [ask(trap, path) for path in ("/a/wait", "/b", "/c/wait", "/d/wait")] == [200, 200, 503, 200]
    assert trouble.affected == ["GET /c/wait"]


def test_a_program_fails_until_it_succeeds_again(tmp_path: Path) -> None:
    trap = ProgramTrap(tmp_path / "programs", ["/bin/echo"])

    def run() -> tuple[int, str]:
        done = subprocess.run([trap.folder / "echo", "hello"], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run() == (0, "hello\n")
    trap.fail("echo", 4, "the lock is held")
    assert not trap.has_failed("echo")
    assert run() == (4, "the lock is held\n")
    assert trap.has_failed("echo")
    trap.succeed("echo")
    assert run() == (0, "hello\n")
