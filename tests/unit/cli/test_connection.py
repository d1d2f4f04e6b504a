"""The commands and a control socket on which something else than a well-behaved hanoverd answers."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hanoverd.cli.client.commands import run_remote
from hanoverd.daemons import connection
from hanoverd.daemons.connection import Daemon, daemon_of, find_daemon, running_daemons
from hanoverd.runtime.errors import ControlError
from hanoverd.spec.programs import RemoteCommand

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

#: Clears the screen, sets the title of the window, and shows a line that looks like one of ours.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\rweb: web-9 is live\u2028\x9b31m\u202e"

Serve = Callable[[socket.socket], None]


@contextmanager
def answering(path: Path, serve: Serve) -> Iterator[None]:
    """A socket on which ``serve`` answers each connection, after its request was read."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    try:
                        request = peer.recv(65536)
                        while request.startswith(b"POST") and not request.endswith(b"}"):
                            request += peer.recv(65536)
                        # It is empty if the client only checks whether a process listens.
                        if request:
                            serve(peer)
                    except OSError:
                        pass  # The client has had enough.

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def with_length(body: bytes) -> Serve:
    return lambda peer: peer.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def stream(*lines: bytes) -> Serve:
    return lambda peer: peer.sendall(HEAD + b"Connection: close\r\n\r\n" + b"".join(lines))


def daemon(path: Path, *, trusted: tuple[int, ...] | None = None) -> Daemon:
    return Daemon("web", path, (os.geteuid(),) if trusted is None else trusted)


# -- who is trusted


def test_the_socket_of_a_user_who_is_not_trusted_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    served: list[bytes] = []
    with answering(path, lambda peer: served.append(b"asked")):
        with pytest.raises(
            ControlError, match=f"web: its control socket is not used, .* belongs to uid {os.geteuid()}"
        ):
            daemon(path, trusted=()).post("/deploy")
        # Also if the file was replaced between the check and the connect.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hanoverd.daemons.unix_connection.check_socket", lambda *_: None)
            with pytest.raises(ControlError, match=f"a process of uid {os.geteuid()} listens on"):
                daemon(path, trusted=()).post("/deploy")
    assert served == []


def test_a_link_to_the_socket_of_another_app_is_not_used(tmp_path: Path) -> None:
    with answering(tmp_path / "other.sock", with_length(b"{}")):
        (tmp_path / "web.sock").symlink_to(tmp_path / "other.sock")
        with pytest.raises(ControlError, match=r"web\.sock is not a socket"):
            daemon_of("web", {"HANOVERD_RUNTIME_DIR": str(tmp_path)}, 0)


def test_a_socket_in_a_folder_that_all_users_can_change_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    environ = {"HANOVERD_RUNTIME_DIR": str(folder)}
    with answering(folder / "web.sock", with_length(b"{}")):
        folder.chmod(0o777)
        assert find_daemon("web", environ, 0)[0] is None
        daemons, [problem] = running_daemons(environ, 0)
        assert daemons == []
        assert problem == (
            f"{folder} is not searched for apps, because another user could answer in their names: all users may write to {folder}"
        )
        with pytest.raises(ControlError, match=r"web: its control socket is not used, .*all users may write to"):
            daemon_of("web", environ, 0)
        folder.chmod(0o755)
        assert find_daemon("web", environ, 0)[0] is not None


def test_a_folder_full_of_files_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_MOST_FILES", 10)
    folder = tmp_path / "run"
    folder.mkdir()
    for number in range(50):
        (folder / f"app-{number}.sock").touch()
    folder.chmod(0o777)
    daemons, problems = running_daemons({"HANOVERD_RUNTIME_DIR": str(folder)}, 0)
    assert (daemons, len(problems)) == ([], 1)


# -- what is printed


def test_what_it_answers_reaches_the_terminal_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    record = {
        "id": 1,
        "trigger": HOSTILE,
        "began": 0.0,
        "version": HOSTILE,
        "old": "",
        "rollback_to": "",
        "image": HOSTILE,
        "image_id": HOSTILE,
        "phases": [],
        "outcome": "failed",
        "why": HOSTILE,
        "took": 1.0,
    }
    live = {
        "version": HOSTILE,
        "image": HOSTILE,
        "image_id": HOSTILE,
        "source": HOSTILE,
        "revision": HOSTILE,
        "rollback_to": "",
        "created": 0.0,
        "address": HOSTILE,
        "since": 0.0,
        "state": HOSTILE,
    }
    status = {
        "app": "web",
        "state": "live",
        "live": live,
        "ports": [],
        "draining": [HOSTILE],
        "handover": record,
        "paused": False,
        "held": [HOSTILE],
        "kept": [],
        "repairs": 0,
        "pid": 1,
        "hanoverd": HOSTILE,
    }
    events = [
        {"event": "ready", "level": "info", "message": HOSTILE},
        {"event": "output", "level": "info", "message": HOSTILE},
        {"event": HOSTILE, "level": HOSTILE, "message": HOSTILE, "traceback": HOSTILE},
        {"event": "handover_ended", "handover": 1, "record": record},
    ]
    answers: list[tuple[RemoteCommand, Serve]] = [
        (RemoteCommand("status", "web"), with_length(json.dumps(status).encode())),
        (RemoteCommand("status", "web", json=True), with_length(json.dumps(status).encode())),
        (RemoteCommand("versions", "web"), with_length(json.dumps([live]).encode())),
        (RemoteCommand("history", "web"), with_length(json.dumps([record]).encode())),
        (RemoteCommand("history", "web", trunc=False), with_length(json.dumps([record]).encode())),
        (RemoteCommand("logs", "web"), stream(HOSTILE.encode() + b"\n")),
        (RemoteCommand("logs", "web", json=True), stream(HOSTILE.encode() + b"\n")),
        (RemoteCommand("resume", "web"), with_length(json.dumps({"held": [HOSTILE]}).encode())),
        (RemoteCommand("cancel", "web"), with_length(json.dumps({"handover": record}).encode())),
        (
            RemoteCommand("deploy", "web", wait=True),
            stream(b"retry: 1000\n\n", *(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)),
        ),
    ]
    for command, serve in answers:
        path = tmp_path / "web.sock"
        path.unlink(missing_ok=True)
        answers_of_command = iter([serve, with_length(b'{"handover": 1}')])

        def reply(peer: socket.socket, answers: Iterator[Serve] = answers_of_command) -> None:
            # A deployment asks for the events first.
            next(answers)(peer)

        with answering(path, reply):
            run_remote(command, environ, os.geteuid())
        out, err = capsys.readouterr()
        assert r"\x1b[2J" in out + err or r"\u001b[2J" in out + err, command
        assert not set("\x1b\x07\r\u2028\x9b\u202e") & set(out + err), (command, out, err)
        # One line stays one line.
        assert "web: web-9 is live" not in (out + err).splitlines()


def test_an_error_that_it_answers_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"error": HOSTILE}).encode()
    answer = b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with answering(tmp_path / "web.sock", lambda peer: peer.sendall(answer)):
        from hanoverd.cli.process import complain  # noqa: PLC0415

        with pytest.raises(ControlError) as caught:
            daemon(tmp_path / "web.sock").get("/status")
        complain(caught.value)
    assert capsys.readouterr().err.startswith(r"hanoverd: web: \x1b[2J")


# -- how much is read, and for how long


def test_an_answer_of_any_size_takes_little_memory(tmp_path: Path) -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(HEAD + b"Content-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            peer.sendall(b" " * 1024 * 1024)

    with answering(tmp_path / "web.sock", flood):
        tracemalloc.start()
        with pytest.raises(ControlError, match="its answer is too large"):
            daemon(tmp_path / "web.sock").get("/status")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * connection.MOST_BYTES


def test_a_line_without_an_end_takes_little_memory(tmp_path: Path) -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(HEAD + b"Connection: close\r\n\r\nfirst\n")
        for _ in range(1024):
            peer.sendall(b"x" * 1024 * 1024)

    with answering(tmp_path / "web.sock", flood):
        lines = daemon(tmp_path / "web.sock").lines("/logs")
        assert next(lines) == "first"
        tracemalloc.start()
        with pytest.raises(ControlError, match="a line of its answer is too long"):
            next(lines)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * connection.MOST_BYTES


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"Content-Length: 100\r\n\r\n"])
def test_an_answer_that_drips_has_a_time_limit(tmp_path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_TIMEOUT", 0.5)

    def drip(peer: socket.socket) -> None:
        peer.sendall(start)
        while True:
            peer.sendall(b"x")
            time.sleep(0.05)

    with answering(tmp_path / "web.sock", drip):
        before = time.monotonic()
        with pytest.raises(ControlError, match=r"does not answer .*timed out"):
            daemon(tmp_path / "web.sock").get("/status")
        assert time.monotonic() - before < 30


def test_a_socket_that_accepts_nothing_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_TIMEOUT", 0.3)
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(str(path))
        server.listen(0)
        waiting.connect(str(path))
        # It listens, so the socket must not be removed as one of a killed daemon.
        assert daemon(path).is_running()
        assert [one.app for one in running_daemons({"HANOVERD_RUNTIME_DIR": str(tmp_path)}, 0)[0]] == ["web"]
        with pytest.raises(ControlError, match=r"does not answer .*timed out"):
            daemon(path).get("/status")


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b"1" * 10_000])
def test_an_answer_that_is_not_json(tmp_path: Path, body: bytes) -> None:
    with (
        answering(tmp_path / "web.sock", with_length(body)),
        pytest.raises(ControlError, match="its answer is not valid JSON"),
    ):
        daemon(tmp_path / "web.sock").get("/status")


def test_an_answer_that_is_not_http(tmp_path: Path) -> None:
    for answer in (b"", b"\n", b"HTTP/9 what", b"x" * 100_000, HEAD * 200):
        path = tmp_path / "web.sock"
        path.unlink(missing_ok=True)
        with answering(path, lambda peer, answer=answer: peer.sendall(answer)), pytest.raises(ControlError):  # type: ignore[misc]
            daemon(path).get("/status")
