"""Traps: a process is killed at one of the requests that it makes of the engine, or at one of the programs that it runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

#: Whether a trap goes off before what it waits for is done, or when it is done and before the process hears of it.
BEFORE, AFTER = "before", "after"

_REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD) /")

#: A program that counts its runs while it is armed, and kills whom it is told at one of them.
_SCRIPT = """\
#!/bin/sh
armed={armed}
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


class EngineTrap:
    """Stands between a process and the engine at ``engine``, at the socket ``path``."""

    def __init__(self, path: str, engine: str) -> None:
        self.path = path
        self._engine = engine
        self._lock = threading.Lock()
        self._armed: tuple[int, str, int] | None = None
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
        """Kill nobody."""
        with self._lock:
            self._armed = None

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
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
            due: list[int] = []
            back = threading.Thread(target=self._relay_back, args=(engine, client, due), daemon=True)
            back.start()
            try:
                while data := client.recv(65536):
                    if _REQUEST.match(data) and (pid := self._goes_off(BEFORE, due)) is not None:
                        os.kill(pid, signal.SIGKILL)
                    engine.sendall(data)
                engine.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            back.join()

    def _relay_back(self, engine: socket.socket, client: socket.socket, due: list[int]) -> None:
        try:
            while data := engine.recv(65536):
                if due:
                    os.kill(due.pop(), signal.SIGKILL)
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # Half of it is gone: so is the other half.
            for end in (engine, client):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _goes_off(self, phase: str, due: list[int]) -> int | None:
        """Count a request; gives whom to kill now, and notes in ``due`` whom to kill at its answer."""
        with self._lock:
            if self._armed is None:
                return None
            number, when, pid = self._armed
            if number > 0:
                self._armed = number - 1, when, pid
                return None
            self._armed = None
        if when == phase:
            return pid
        due.append(pid)
        return None


class ProgramTrap:
    """A folder for PATH with programs that do what those of the same names do."""

    def __init__(self, folder: Path, programs: Sequence[str]) -> None:
        self.folder = folder
        self._armed = folder / "armed"
        folder.mkdir()
        for program in programs:
            script = folder / Path(program).name
            script.write_text(_SCRIPT.format(armed=self._armed, program=program))
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def arm(self, number: int, phase: str, pid: int) -> None:
        """Kill ``pid`` at the run ``number`` from now on, counted from 0."""
        self._armed.write_text(f"{number} {phase} {pid}\n")

    @property
    def is_armed(self) -> bool:
        """Whether it has not gone off yet."""
        return self._armed.exists()

    def disarm(self) -> None:
        """Kill nobody."""
        self._armed.unlink(missing_ok=True)
