"""A machine with systemd on the lab's first host: a container of systemd-nspawn(1), with the programs of this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.lab.daemon import ENDS_WITHIN, PROJECT
from tests.lab.host import Lab

#: How long systemd may take to start the machine, in seconds.
UP_WITHIN = 60

#: Where the lab's engine listens in the machine, as Docker's package has it.
ENGINE = "/run/docker.sock"


class Machine:
    """A booted systemd with hanoverd in /opt/hanoverd and its units; as a context, it is powered off at the end.

    It has the network of the lab's first host, and /usr of this machine, so that its Python and its programs are there.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._name = f"hanoverd-{os.getpid()}"
        self.root = lab.folder / "machine"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def write(self, path: str, text: str, mode: int = 0o600) -> None:
        """Write a file of the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode)
        file.write_text(text)

    def run(self, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine as root, and return its result."""
        enter = ["nsenter", "--target", str(self._leader), "--all", "env", f"PATH={_PATH}", *command]
        return subprocess.run(enter, capture_output=True, text=True, timeout=timeout, check=False)

    def wait(self, holds: Callable[[], object], what: str, timeout: float = 60) -> None:
        """Wait until ``holds`` returns true."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{self.journal()}"
            time.sleep(0.1)

    def must_run(self, *command: str) -> str:
        """Run a command that must succeed, and return its standard output."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def journal(self) -> str:
        """Return the messages of hanoverd's services."""
        return self.run("journalctl", "--no-pager", "--output=short-monotonic", "--unit=hanoverd*").stdout

    def wait_journal(self, text: str, *, times: int = 1) -> None:
        """Wait until the messages of hanoverd's services have a text so many times."""
        self.wait(lambda: self.journal().count(text) >= times, f"{times} times {text!r}")

    def main_pid(self, unit: str) -> int:
        """Return the process ID of a service in the machine, 0 if it does not run."""
        return int(self.must_run("systemctl", "show", "--property=MainPID", "--value", unit))

    def state(self, unit: str) -> str:
        """Return whether a service is active, inactive or failed."""
        return self.run("systemctl", "is-active", unit).stdout.strip()

    def __enter__(self) -> Self:
        self._make_root()
        command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", f"--machine={self._name}"]
        if not Path("/run/systemd/system").exists():
            # No systemd of this host can create a control group for the container.
            command = ["sh", "-c", _IN_CGROUPS, "sh", *map(str, self._cgroups()), "--", *command, "--keep-unit"]
        command += [f"--directory={self.root}", f"--network-namespace-path=/run/netns/{self._lab.host}"]
        command += ["--bind-ro=/usr", "--bind-ro=/etc/alternatives", f"--bind={self._lab.engine.socket}:{ENGINE}"]
        command += [f"--bind-ro={sys.prefix}:/opt/hanoverd", f"--bind-ro={PROJECT}", "--console=pipe"]
        command += ["--capability=CAP_NET_ADMIN"]
        with (self._lab.folder / "machine.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                # With the old hierarchies (cgroups version 1), systemd does not notice the end of a service's processes.
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_it_runs()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _make_root(self) -> None:
        for folder in ("etc/systemd/system", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var"):
            (self.root / folder).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (self.root / link).symlink_to(f"usr/{link}")
        (self.root / "var/run").symlink_to("/run")
        for name in ("passwd", "group"):
            shutil.copy(f"/etc/{name}", self.root / "etc")
        # With an ID, this is not the first boot, at which systemd would enable all services.
        self.write("/etc/machine-id", f"{uuid.uuid4().hex}\n", 0o644)
        self.write("/etc/os-release", "ID=debian\n", 0o644)
        units = self.root / "etc/systemd/system"
        for unit in (PROJECT / "systemd").iterdir():
            shutil.copy(unit, units)
        # The lab's engine is there instead.
        for name in ("docker.service", "docker.socket", "containerd.service"):
            (units / name).symlink_to("/dev/null")

    def _cgroups(self) -> list[Path]:
        """Return the container's control groups: one in each hierarchy that systemd uses (cgroups(7))."""
        hierarchies = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd")]
        return [folder / self._name for folder in hierarchies if (folder / "cgroup.procs").exists()]

    def _wait_until_it_runs(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + UP_WITHIN
        while not (self._find_leader() and self.run("systemctl", "is-system-running").stdout in _UP):
            assert process.poll() is None, f"the machine has stopped:\n{self._console()}"
            assert time.monotonic() < deadline, f"the machine is not up:\n{self._console()}"
            time.sleep(0.1)

    def _find_leader(self) -> bool:
        """Find the machine's first process: the child of systemd-nspawn that is process 1 of a namespace."""
        assert self._process is not None
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found = re.search(r"^NSpid:\s*\d+\s+1$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
            if found is not None and Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                self._leader = int(child)
        return self._leader != 0

    def _console(self) -> str:
        return (self._lab.folder / "machine.log").read_text(errors="replace")

    def _stop(self) -> None:
        process = self._process
        if process is not None:
            # An orderly power-off.
            process.terminate()
            try:
                process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                # It leaves the machine's first process, and with that all others.
                process.kill()
                process.wait()
                os.kill(self._leader, signal.SIGKILL)
        for top in self._cgroups():
            for folder, _, _ in os.walk(top, topdown=False):
                os.rmdir(folder)
        shutil.rmtree(self.root)
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{self._name}", ignore_errors=True)
        Path(f"/run/systemd/nspawn/unix-export/{self._name}").unlink(missing_ok=True)


#: Runs what follows "--" in the control groups before it.
_IN_CGROUPS = """
while [ "$1" != -- ]; do
    mkdir "$1" && echo $$ > "$1/cgroup.procs" || exit 1
    shift
done
shift
exec "$@"
"""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: "degraded": a service that has nothing to do with hanoverd may not run in a container.
_UP = ("running\n", "degraded\n")
