"""Traps between a process and the engine or its programs: they kill the process, or have requests and programs fail."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Whether a trap goes off before what it waits for is done, or when it is done and before the process hears of it.
BEFORE, AFTER = "before", "after"

#: The kinds of trouble: a request is answered 503, is passed on late, or its connection is closed, before or after the
#: engine has acted.
REFUSE, DELAY, DROP_BEFORE, DROP_AFTER = "refuse", "delay", "drop before", "drop after"

_REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD) /")

_BODY = b'{"message":"the engine is busy: try again"}\n'
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    % (
        len(_BODY),
        _BODY,
    )
)

#: A program that counts its runs while it is armed, and kills the process that it is armed against at one of them.  While
#: there is a file "failing-NAME", it fails as that says, and leaves a file "failed-NAME".
_SCRIPT = """\
#!/bin/sh
armed={armed}
if read -r status message 2>/dev/null <"{failing}"; then
    : >"{failed}"
    echo "$message" >&2
    exit "$status"
fi
if read -r left phase pid 2>/dev/null <"$armed"; then
    if [ "$left" -gt 0 ]; then
        echo "$((left - 1)) $phase $pid" >"$armed"
    else
        rm -f "$armed"
        [ "$phase" = before ] && kill -9 "$pid"
        {program} "$@"
        status=$?
        [ "$phase" = after ] && kill -9 "$pid"
        exit $status
    fi
fi
exec {program} "$@"
"""


@dataclass
class Trouble:
    """Trouble of one ``kind`` for requests to the engine whose first lines match ``pattern``.

    It affects all of them, or, with ``number``, only that one, counted from 0.  ``seconds`` is the delay.
    """

    kind: str
    number: int | None = None
    pattern: bytes = rb""
    seconds: float = 0.0
    #: The requests that it has affected, as ``METHOD path``.
    affected: list[str] = field(default_factory=list)


class EngineTrap:
    """Stands between a process and the engine at ``engine``, at the socket ``path``."""

    def __init__(self, path: str, engine: str) -> None:
        self.path = path
        self._engine = engine
        self._lock = threading.Lock()
        self._armed: tuple[int, str, int] | None = None
        self._trouble: Trouble | None = None
        self._clients: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(128)
        threading.Thread(target=self._serve, daemon=True).start()

    def arm(self, number: int, phase: str, pid: int) -> None:
        """Kill ``pid`` at its request ``number`` from now on, counted from 0."""
        with self._lock:
            self._armed = number, phase, pid

    @property
    def is_armed(self) -> bool:
        """Whether it has not gone off yet."""
        return self._armed is not None

    def disarm(self) -> None:
        """Kill nothing, and pass on all requests from now on."""
        with self._lock:
            self._armed = self._trouble = None

    def trouble(self, trouble: Trouble) -> None:
        """Make this trouble from now on, until ``disarm``."""
        with self._lock:
            self._trouble = trouble

    def cut(self) -> None:
        """Close all connections that are open now."""
        with self._lock:
            for client in self._clients:
                _shut_down(client)

    def close(self) -> None:
        """Stop listening."""
        _shut_down(self._listener)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        with client, engine:
            try:
                engine.connect(self._engine)
            except OSError:
                return
            with self._lock:
                self._clients.add(client)
            due: list[int | None] = []
            back = threading.Thread(target=self._relay_back, args=(engine, client, due), daemon=True)
            back.start()
            try:
                while data := client.recv(65536):
                    if _REQUEST.match(data) and not self._passes(data, client, due):
                        _shut_down(client)
                        _shut_down(engine)
                        break
                    engine.sendall(data)
                else:
                    engine.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            back.join()
            with self._lock:
                self._clients.discard(client)

    def _relay_back(self, engine: socket.socket, client: socket.socket, due: list[int | None]) -> None:
        try:
            while data := engine.recv(65536):
                if due:
                    pid = due.pop()
                    if pid is None:
                        # The engine has acted, and the process gets no answer.
                        break
                    os.kill(pid, signal.SIGKILL)
                client.sendall(data)
            else:
                client.shutdown(socket.SHUT_WR)
                return
        except OSError:
            pass
        # Half of it is gone: so is the other half.
        for end in (engine, client):
            _shut_down(end)

    def _passes(self, data: bytes, client: socket.socket, due: list[int | None]) -> bool:
        """Kill and delay as requested; return whether to pass on the request that starts with ``data``.

        Adds to ``due`` what must happen at its answer: the process to kill, or None to close the connection.
        """
        pid, trouble = self._goes_off(data, due)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        if trouble is None:
            return True
        if trouble.kind == REFUSE:
            client.sendall(_REFUSAL)
        elif trouble.kind == DELAY:
            time.sleep(trouble.seconds)
        elif trouble.kind == DROP_AFTER:
            due.append(None)
        return trouble.kind in (DELAY, DROP_AFTER)

    def _goes_off(self, data: bytes, due: list[int | None]) -> tuple[int | None, Trouble | None]:
        """Count a request; return the process to kill now, and the trouble that affects the request."""
        with self._lock:
            trouble = self._trouble_for(data)
            if self._armed is None:
                return None, trouble
            number, when, pid = self._armed
            if number > 0:
                self._armed = number - 1, when, pid
                return None, trouble
            self._armed = None
        if when == BEFORE:
            return pid, trouble
        due.append(pid)
        return None, trouble

    def _trouble_for(self, data: bytes) -> Trouble | None:
        trouble = self._trouble
        line = data.partition(b"\r\n")[0]
        if trouble is None or not re.search(trouble.pattern, line):
            return None
        if trouble.number is not None:
            trouble.number -= 1
            if trouble.number >= 0:
                return None
            self._trouble = None
        trouble.affected.append(line.decode("ascii", "replace").partition("?")[0].removesuffix(" HTTP/1.1"))
        return trouble


class ProgramTrap:
    """A folder for PATH with wrappers of programs."""

    def __init__(self, folder: Path, programs: Sequence[str]) -> None:
        self.folder = folder
        self._armed = folder / "armed"
        folder.mkdir()
        for program in programs:
            name = Path(program).name
            script = folder / name
            text = _SCRIPT.format(
                armed=self._armed, program=program, failing=self._failing(name), failed=self._failed(name)
            )
            script.write_text(text)
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def arm(self, number: int, phase: str, pid: int) -> None:
        """Kill ``pid`` at the run ``number`` from now on, counted from 0."""
        self._armed.write_text(f"{number} {phase} {pid}\n")

    @property
    def is_armed(self) -> bool:
        """Whether it has not gone off yet."""
        return self._armed.exists()

    def disarm(self) -> None:
        """Kill nothing."""
        self._armed.unlink(missing_ok=True)

    def fail(self, name: str, status: int, message: str) -> None:
        """Make the program ``name`` fail from now on."""
        self._failed(name).unlink(missing_ok=True)
        written = self.folder / f"writing-{name}"
        written.write_text(f"{status} {message}\n")
        # A run meanwhile reads all of it, or nothing.
        written.rename(self._failing(name))

    def has_failed(self, name: str) -> bool:
        """Whether the program ``name`` was run since ``fail``."""
        return self._failed(name).exists()

    def succeed(self, name: str) -> None:
        """Make it work again."""
        self._failing(name).unlink(missing_ok=True)

    def _failing(self, name: str) -> Path:
        return self.folder / f"failing-{name}"

    def _failed(self, name: str) -> Path:
        return self.folder / f"failed-{name}"


def _shut_down(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
