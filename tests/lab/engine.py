"""A private Docker engine inside a network namespace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.lab.api import call

#: How long an engine may take to come up, and to go down, in seconds.
UP_WITHIN, DOWN_WITHIN = 120, 60

# dockerd reads the network namespace's /sys/class/net, so it needs a sysfs that was mounted inside; the cgroups, which
# are mounted below the old one, are carried over.
_MOUNTS = """
set -e
mkdir -p "$1/cgroup"
mount --rbind /sys/fs/cgroup "$1/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$1/cgroup" /sys/fs/cgroup
echo mounted
# Until standard input ends; with the engine's folder in its command line, by which its processes are known.
exec sh -c "read -r _ || true" "$1"
"""


class PrivateEngine:
    """dockerd with its data below ``folder``, in the network namespace ``namespace``."""

    def __init__(self, namespace: str, folder: Path, *options: str) -> None:
        self._namespace = namespace
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        # Keeps the mount namespace: an engine with live-restore finds the networks of its running containers by mounts.
        self._mounts: subprocess.Popen[bytes] | None = None
        self.socket = str(folder / "docker.sock")

    def start(self) -> None:
        """Start the engine, and wait until it answers; may be called again after ``kill`` or ``stop``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "docker.pid").unlink(missing_ok=True)
        self._forget_a_dead_containerd()
        where = ["--data-root", "data", "--exec-root", "exec", "--pidfile", "docker.pid"]
        where = [str(self._folder / word) if not word.startswith("--") else word for word in where]
        with (self._folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                # Its containers inherit the signals that it ignores: none.
                [
                    *self._enter(),
                    "env",
                    "--default-signal",
                    "dockerd",
                    *where,
                    "-H",
                    f"unix://{self.socket}",
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + UP_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not come up:\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def log(self) -> str:
        """Return the log of dockerd."""
        return (self._folder / "dockerd.log").read_text(errors="replace")

    def kill(self) -> None:
        """Kill the engine, as in a crash: its containers continue to run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> None:
        """End the engine, as a restart of its service does; with live-restore its containers continue to run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DOWN_WITHIN)
            self._process = None

    def kill_shim(self, container: str) -> None:
        """Kill the shim between containerd and a container; the engine then stops the container."""
        found = json.loads(call(self.socket, "GET", f"/containers/{container}/json")[1])
        marker = str(self._folder).encode()
        for pid in _processes():
            line = _command_line(pid)
            if b"shim" in line and marker in line and found["Id"].encode() in line:
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop the engine, its containerd and its containers, and remove its folder; idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(DOWN_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._end_what_is_left()
        if self._mounts is not None:
            self._mounts.communicate()
            self._mounts = None
        self._remove_folder()

    def _enter(self) -> list[str]:
        """Return the prefix that runs the engine in its namespaces; its mount namespace is made first if there is none."""
        network = f"--net=/run/netns/{self._namespace}"
        if self._mounts is None:
            private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNTS, "sh", str(self._folder)]
            self._mounts = subprocess.Popen(
                ["nsenter", network, *private], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            assert self._mounts.stdout is not None
            assert self._mounts.stdout.readline() == b"mounted\n"
        return ["nsenter", network, f"--mount=/proc/{self._mounts.pid}/ns/mnt"]

    def _answers(self) -> bool:
        try:
            return call(self.socket, "GET", "/_ping", timeout=10)[0] == 200
        except OSError:
            return False

    def _forget_a_dead_containerd(self) -> None:
        # It may end with the engine that was killed, on the pipe to which it logs; and it may be a zombie, which
        # the next engine takes for a running process.
        file = self._folder / "exec" / "containerd" / "containerd.pid"
        if file.exists() and not _command_line(int(file.read_text())):
            file.unlink()

    def _end_what_is_left(self) -> None:
        """Kill containerd, the shims and the containers of an engine that was killed.

        The command lines of the first two name its folder; a container is a child of its shim.
        """
        marker = str(self._folder).encode()
        for _ in range(100):
            left = [pid for pid in _processes() if marker in _command_line(pid)]
            if not left:
                return
            for pid in [*(child for shim in left for child in _children(shim)), *left]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)
        raise RuntimeError(f"processes of {self._folder} cannot be ended: {left}")

    def _remove_folder(self) -> None:
        # Only mounts of the engine's own mount namespace lie below it; those went with its last process.
        for _ in range(50):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(0.1)
        shutil.rmtree(self._folder)


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
