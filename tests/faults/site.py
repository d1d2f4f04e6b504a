"""Where faults happen: a host with an engine on a small disk, a hookbot, a registry and a git host, and one app on it."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.traps import EngineTrap, ProgramTrap
from tests.integration.asking import hostname, names
from tests.lab.daemon import HOOKBOT_KEY, HOOKBOT_PORT, PROJECT, Daemon, environment, hookbot_url, twistd
from tests.lab.git import Repository
from tests.lab.host import Lab
from tests.lab.images import import_base, write_app

APP = "faulty"
ARGUMENTS = ("-p", "8080:80", "--name", APP, "--on-exit", "keep")

#: The places that an image comes from: the folder, at a word of hookbot; or the git host.
FOLDER, GIT = "folder", "git"

GIT_PORT, REGISTRY_PORT = 9418, 5000

#: How much the engine can keep, in bytes.
DISK = 600 * 1024 * 1024

#: What the log says at the phases of a handover.
PHASES = {
    "begun": r"handover: SIGHUP",
    "obtaining": rf"{APP}-\d+: build",
    "obtained": rf"{APP}-\d+: obtained",
    "created": rf"{APP}-\d+: created",
    "started": rf"{APP}-\d+: started",
    "ready": rf"{APP}-\d+: ready",
    "flipped": rf"{APP}-\d+: flipped",
    "live": rf"{APP}-\d+ is live",
    "gone": rf"{APP}-\d+ is gone",
}

#: What the log says at the end of one.
OVER = (" is live: ", "waiting for the next trigger", "handover cancelled", "started again in")

#: How long the world may take to become right again, in seconds.
RIGHT_WITHIN = 60

_REGISTRY = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


class Helper:
    """A program that serves a port of the lab's first host, and may vanish at any time."""

    def __init__(self, lab: Lab, port: int, *command: str, env: dict[str, str] | None = None) -> None:
        self._lab = lab
        self._port = port
        self._command = command
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have it serve; comes back when it does."""
        self._process = subprocess.Popen(
            self._lab.in_host(self._command),
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        listens = ["ss", "-Hltn", f"sport = :{self._port}"]
        wait_for(lambda: subprocess.run(self._lab.in_host(listens), capture_output=True, check=True).stdout, self._port)

    def kill(self) -> None:
        """Have it vanish, with all that it has begun."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Site:
    """The host, the app's sources, and the daemon that serves it; ``chance`` decides what is left open."""

    def __init__(self, lab: Lab, folder: Path, chance: random.Random) -> None:
        self.lab = lab
        self.folder = folder / "app"
        self.chance = chance
        self.source = FOLDER
        self._state = folder
        self._clock = folder / "clock"
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self.requests = EngineTrap(str(folder / "engine.sock"), lab.engine.socket)
        programs = [shutil.which(name) or name for name in ("iptables-save", "iptables-restore", "conntrack", "git")]
        self.programs = ProgramTrap(folder / "programs", programs)
        self._repository = Repository(folder / "work", folder / "git" / "app")
        self._version = 0
        self._daemon: Daemon | None = None
        config = folder / "registry.yml"
        config.write_text(_REGISTRY.format(folder=folder, port=REGISTRY_PORT))
        self.registry = Helper(lab, REGISTRY_PORT, "docker-registry", "serve", str(config))
        serve = ("git", "daemon", "--listen=127.0.0.1", f"--port={GIT_PORT}", "--export-all", "--reuseaddr")
        self.git_host = Helper(lab, GIT_PORT, *serve, f"--base-path={folder / 'git'}")
        hookbot = twistd("hookbot", "serve", f"--bind=127.0.0.1:{HOOKBOT_PORT}")
        self.hookbot = Helper(lab, HOOKBOT_PORT, *hookbot, env={**environment(lab), "HOOKBOT_KEY": HOOKBOT_KEY})

    def begin(self) -> None:
        """Have all of it there, and the app live."""
        for helper in (self.registry, self.git_host, self.hookbot):
            helper.start()
        self.set_clock(0)
        self.write_app()
        self.start()
        self.become_right()

    def end(self) -> list[str]:
        """Have hanoverd end, and its app with it; what is left behind, by name."""
        try:
            if self._daemon is not None:
                self._daemon.terminate()
                self._daemon.forget()
                self._daemon = None
            with Daemon(self.lab, ["-p", "8080:80", "--name", APP], self.folder, self._environ()) as last:
                last.wait_for("is live")
            return self._left()
        finally:
            self.requests.close()
            for helper in (self.registry, self.git_host, self.hookbot):
                helper.kill()

    # -- hanoverd

    @property
    def daemon(self) -> Daemon:
        """The one that runs."""
        assert self._daemon is not None
        return self._daemon

    def start(self, source: str | None = None) -> None:
        """Start hanoverd, as a service manager would that had it vanish; it may be told another source."""
        if self._daemon is not None:
            self._daemon.forget()
        self.source = source or self.chance.choice((FOLDER, GIT))
        env = self._environ()
        if self.source == GIT:
            arguments = [*ARGUMENTS, f"--state-dir={self._state}", f"git://127.0.0.1:{GIT_PORT}/app"]
        else:
            arguments = [*ARGUMENTS]
            env["HOOKBOT_URL"] = hookbot_url("/sub/hanoverd/cwd")
        self._daemon = Daemon(self.lab, arguments, self.folder, env)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``hanoverd`` with a command for the one that runs."""
        return subprocess.run(
            self.lab.in_host(twistd(*arguments)),
            env=environment(self.lab),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=RIGHT_WITHIN,
            check=False,
        )

    def hand_over_until(self) -> str:
        """Begin a handover, and come back at a phase of it, or at any moment."""
        self.write_app()
        before = len(self.daemon.log())
        self.daemon.hup()
        if self.chance.random() < 0.3:
            seconds = self.chance.uniform(0, 1.5)
            time.sleep(seconds)
            return f"{seconds:.2f} s after SIGHUP"
        phase = self.chance.choice(list(PHASES))
        self.daemon.wait_for(PHASES[phase], after=before)
        return f"when {phase}"

    def set_clock(self, seconds: float) -> None:
        """Have hanoverd see another time of day than there is."""
        self._clock.write_text(f"{seconds:+.0f}\n")

    def _environ(self) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{Path(__file__).with_name('clock')}:{PROJECT}",
            "CLOCK_FILE": str(self._clock),
            "TMPDIR": str(self._temporary),
            "DOCKER_HOST": f"unix://{self.requests.path}",
            "PATH": f"{self.programs.folder}:{os.environ['PATH']}",
        }

    # -- the app

    def write_app(self, *, megabytes: float = 0, dockerfile: str | None = None, **env: str) -> None:
        """Another version of the app, in the folder and at the git host."""
        self._version += 1
        write_app(self.folder, version=str(self._version), env=env)
        (self.folder / "ballast").write_bytes(os.urandom(int(megabytes * 1_000_000)))
        with (self.folder / "Dockerfile").open("a") as file:
            file.write("COPY ballast /ballast\n")
        if dockerfile is not None:
            (self.folder / "Dockerfile").write_text(dockerfile)
        for file_name in ("Dockerfile", "server.py", "ballast"):
            (self._repository.work / file_name).write_bytes((self.folder / file_name).read_bytes())
        self._repository.commit({})

    def push_image(self, *, megabytes: float) -> str:
        """Another version of the app as an image, which only the registry has; its name."""
        self.write_app(megabytes=megabytes)
        name = f"127.0.0.1:{REGISTRY_PORT}/app"
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for file in sorted(self.folder.iterdir()):
                tar.add(file, file.name)
        tag = f"v{self._version}"
        self.lab.docker("POST", f"/build?t={name}:{tag}&rm=1", buffer.getvalue())
        self.lab.docker("POST", f"/images/{name}/push?tag={tag}", headers={"X-Registry-Auth": _NOBODY})
        self.lab.docker("DELETE", f"/images/{name}:{tag}")
        return f"{name}:{tag}"

    def publish(self) -> None:
        """Tell hookbot's listeners of the folder."""
        url = hookbot_url("/pub/hanoverd/cwd", "http")
        subprocess.run(
            self.lab.in_host(["curl", "-sf", "--max-time", "10", "-d", "x", url]), check=True, capture_output=True
        )

    def live(self) -> str:
        """The version that the rules lead to."""
        wait_for(self._led, "a live version")
        return self._led()

    def _led(self) -> str:
        found = re.search(r'"hanoverd: ([^"]+)"', self.lab.iptables_save())
        return found[1] if found else ""

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Have the engine's disk full but for a little."""
        ballast = self.lab.folder / "engine" / "data" / "ballast"
        status = os.statvfs(ballast.parent)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - 1_000_000))
        try:
            yield
        finally:
            ballast.unlink()

    # -- right and wrong

    def become_right(self) -> float:
        """One version is left, it is the one that the rules name, and it answers; in so many seconds."""
        begun = time.monotonic()
        while not self._is_right():
            assert time.monotonic() < begun + RIGHT_WITHIN, (
                f"not right: {self._describe()}\n{self.daemon.log()[-5000:]}"
            )
            time.sleep(0.05)
        return time.monotonic() - begun

    def _is_right(self) -> bool:
        try:
            found = names(self.lab.containers(APP))
            if len(found) != 1 or f'"hanoverd: {found[0]}"' not in self.lab.iptables_save():
                return False
            url = f"http://{self.lab.host_ip}:8080/"
            return self._is_quiet() and hostname(self.lab.in_client, url) == found[0]
        except (OSError, AssertionError):
            return False

    def _is_quiet(self) -> bool:
        """Whether no handover is under way: that of the start must be over as well."""
        log = self.daemon.log()
        return log.rfind("handover: ") < max(log.rfind(end) for end in OVER)

    def _describe(self) -> str:
        rules = [line for line in self.lab.iptables_save().splitlines() if "HANOVERD" in line]
        return f"containers {names(self.lab.containers(APP))}, rules {rules}"

    def _left(self) -> list[str]:
        left = names(self.lab.containers())
        left += [line for line in self.lab.iptables_save().splitlines() if "HANOVERD" in line]
        left += [str(path) for path in (*self.lab.runtime.iterdir(), *self._temporary.iterdir())]
        left += [str(path) for path in self._state.glob("src/**/checkouts/*")]
        # All but the engine and its parts run for hanoverd, or are ours.
        ours = (str(self.lab.folder), "docker-registry", "git daemon", "git-daemon", "hookbot")
        for pid in subprocess.run(
            ["ip", "netns", "pids", self.lab.host], capture_output=True, text=True, check=True
        ).stdout.split():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if line and not any(word in line for word in ours):
                left.append(f"process {pid}: {line}")
        return left


@contextmanager
def site(chance: random.Random) -> Iterator[Site]:
    """A site of its own, with its own lab."""
    lab = Lab()
    disk = lab.folder / "engine" / "data"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "faults", str(disk)], check=True)
    try:
        lab.start()
        import_base(lab)
        with tempfile.TemporaryDirectory(prefix="hanoverd-faults-") as folder:
            yield Site(lab, Path(folder), chance)
    finally:
        lab.engine.kill()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        lab.stop()


def wait_for(holds: Callable[[], object], what: object, within: float = 30) -> None:
    """Until it is so."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.02)


_NOBODY = base64.urlsafe_b64encode(json.dumps({}).encode()).decode()
