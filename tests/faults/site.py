"""Where faults happen: a host with an engine on a small disk, a hookbot, a registry and a git host, and one app on it."""

from __future__ import annotations

import base64
import http.client
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
from typing import Any

from tests.faults.checks import name_of, named, problems
from tests.faults.pressure import Pressure
from tests.faults.traps import EngineTrap, ProgramTrap
from tests.faults.words import APP, CHAIN, COMMENT, PHASES, WENT_LIVE
from tests.integration.asking import hostname
from tests.lab.api import get_json
from tests.lab.daemon import HOOKBOT_KEY, HOOKBOT_PORT, PROJECT, Daemon, environment, hookbot_url, twistd
from tests.lab.git import Repository
from tests.lab.host import Lab
from tests.lab.images import import_base, write_app

#: The app's options; with ``keep``, it outlives hanoverd.
ARGUMENTS = ("-p", "8080:80", "--name", APP)

#: The places that an image comes from: the folder, at a message of hookbot; the git host; or the server of archives.
FOLDER, GIT, ARCHIVE = "folder", "git", "archive"

GIT_PORT, REGISTRY_PORT, ARCHIVE_PORT = 9418, 5000, 8070

#: How much the engine can keep, in bytes.
DISK = 600 * 1024 * 1024

#: How long a recovery may take, in seconds; the drain timeout is 30 of them.
RECOVERS_WITHIN = 45

#: How long there must be no new problem, in seconds, so that a late effect counts for the fault that causes it.
STAYS_FOR = 0.4

#: How long hanoverd may take to stop after SIGTERM, in seconds: it waits up to 5 for hooks, up to 10 for an engine that does
#: not answer, and up to the app's stop timeout, by default 10, until the engine kills the app.
STOP_WITHIN = 5 + 10 + 10

#: A rule without effect.  Inserted before hanoverd's rules, it is a change that hanoverd repairs.
_FOREIGN = ("PREROUTING", "-d", "203.0.113.1", "-j", "RETURN")

_REGISTRY = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


class Helper:
    """A program that listens on a port of the lab's first host, and may be killed at any time."""

    def __init__(self, lab: Lab, port: int, *command: str, env: dict[str, str] | None = None) -> None:
        self._lab = lab
        self._port = port
        self._command = command
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program, and wait until it listens."""
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
        """Kill the program and its child processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Site:
    """The host, the app's sources, and the daemon, of the checkout ``tree``, that serves the app.

    ``chance`` makes the random choices.
    """

    def __init__(self, lab: Lab, folder: Path, tree: Path) -> None:
        self.lab = lab
        self.folder = folder / "app"
        self.chance = random.Random(0)
        self.source = FOLDER
        #: The options with which hanoverd was started last.
        self.options: tuple[str, ...] = ()
        self.load = Pressure(lab)
        #: Describes the random choices of the fault that happens, as long as it has not returned.
        self.note = ""
        #: How long each stop has taken, in seconds.
        self.stops: list[float] = []
        #: By how much hanoverd's memory has grown, in MiB.
        self.growth: list[float] = []
        self._stop_began = 0.0
        self._log_before = ""
        self._tree = tree
        self.state = folder
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

    def set_up(self) -> None:
        """Start everything, and wait until the app is live."""
        for helper in (self.registry, self.git_host, self.hookbot):
            helper.start()
        self.set_clock(0)
        self.write_app()
        self.start()
        self.wait_until_recovered()

    def tear_down(self) -> list[str]:
        """Stop hanoverd and its app; return the names of what is left behind."""
        self.stop()
        self.start(FOLDER, keep=False)
        self.wait_until_recovered()
        self.stop()
        return self.left()

    def kill_all(self) -> None:
        """Kill everything that runs here, except the engine, which the lab ends; idempotent."""
        self.load.finish()
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.forget()
            self._daemon = None
        self.requests.close()
        for helper in (self.registry, self.git_host, self.hookbot):
            helper.kill()
        for pid, line in self._processes():
            if str(self.lab.folder) not in line:
                end_process(pid)

    # -- hanoverd

    @property
    def daemon(self) -> Daemon:
        """The present hanoverd."""
        assert self._daemon is not None
        return self._daemon

    def start(self, source: str | None = None, *options: str, keep: bool = True) -> None:
        """Start hanoverd as a service manager does, of ``source`` or a random one, with more options of its command line."""
        if self._daemon is not None:
            self._log_before = self._daemon.log()
            self._daemon.forget()
        self.source, self.options = source or self.chance.choice((FOLDER, GIT)), options
        env = self._environ()
        arguments = [*ARGUMENTS, *(["--on-exit", "keep"] if keep else []), *options]
        if self.source == ARCHIVE:
            arguments += [f"docker-archive:http://127.0.0.1:{ARCHIVE_PORT}/app.tar"]
        elif self.source == GIT:
            arguments += [f"--state-dir={self.state}", f"git://127.0.0.1:{GIT_PORT}/app"]
        else:
            env["HOOKBOT_URL"] = hookbot_url("/sub/hanoverd/cwd")
        self._daemon = Daemon(self.lab, arguments, self.folder, env, program=self._program(), log_format=None)

    def stop(self) -> float:
        """Stop hanoverd by SIGTERM, which must finish within ``STOP_WITHIN``; return how long it took, in seconds."""
        self.send_stop()
        return self.wait_stopped()

    def send_stop(self) -> None:
        """Send hanoverd SIGTERM; ``wait_stopped`` must follow."""
        self._stop_began = time.monotonic()
        self.daemon.signal(signal.SIGTERM)

    def wait_stopped(self) -> float:
        """Wait for the end of a stop, as ``stop`` does."""
        try:
            status = self.daemon.wait(max(0, self._stop_began + STOP_WITHIN - time.monotonic()))
        finally:
            self.stops.append(time.monotonic() - self._stop_began)
        assert status == 0, f"exit status {status}"
        return self.stops[-1]

    def log(self, most: int) -> str:
        """Return the last ``most`` characters of the log of the hanoverd that runs, and of that before it."""
        return f"{self._log_before[-most:]}-- restarted --\n{self.daemon.log()[-most:]}"

    def come_up(self) -> None:
        """Wait until hanoverd answers; restart it, as a service manager does, if it has ended because its checks at the start
        failed.
        """

        def is_up() -> bool:
            if self.daemon.has_ended:
                self.start(self.source)
            return self.status() is not None

        wait_for(is_up, "hanoverd runs")

    def wait_until_subscribed(self) -> None:
        """Wait until hanoverd is connected to hookbot, which its status does not show."""
        argv = self.lab.in_host(["ss", "-Htn", "state", "established", f"dport = :{HOOKBOT_PORT}"])
        wait_for(lambda: subprocess.run(argv, capture_output=True, check=True).stdout, "a connection to hookbot")

    def status(self) -> dict[str, Any] | None:
        """Return hanoverd's status from its control socket, None while it does not answer."""
        found: dict[str, Any] | None = self._asked("/status")
        return found

    def handovers(self) -> list[dict[str, Any]]:
        """Return hanoverd's history, the oldest handover first."""
        return self._asked("/history") or []

    def mark(self) -> int:
        """Return the number of the last handover so far."""
        return max((record["id"] for record in self.handovers()), default=0)

    def handover_after(
        self,
        mark: int,
        holds: Callable[[dict[str, Any]], object] = lambda record: record["took"] is not None,
        within: float = 60,
    ) -> dict[str, Any]:
        """Wait for a handover after ``mark`` for which ``holds`` is true, by default one that is over; return its record."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = [record for record in self.handovers() if record["id"] > mark and holds(record)]
            return bool(found)

        wait_for(is_there, "a handover that has come this far", within)
        return found[0]

    def hand_over(self) -> None:
        """Hand over to another version of the app by one SIGHUP, which must succeed."""
        mark = self.mark()
        self.write_app()
        self.daemon.hup()
        self.handover_after(mark, lambda record: record["outcome"] == WENT_LIVE)

    def hand_over_until(self) -> str:
        """Start a handover, and return at a random phase of it, or at any moment; returns when that was."""
        self.write_app()
        mark = self.mark()
        self.daemon.hup()
        if self.chance.random() < 0.3:
            seconds = self.chance.uniform(0, 1.5)
            time.sleep(seconds)
            return f"{seconds:.2f} s after SIGHUP"
        phase = self.chance.choice(("begun", *PHASES, "live", "gone"))
        for _ in range(6):
            # A newer trigger, or a command, may have cancelled the handover.
            try:
                self.handover_after(mark, lambda record: _has_come_to(phase, record), 5)
            except AssertionError:
                self.daemon.hup()
            else:
                break
        if phase == "gone":
            wait_for(lambda: not (self.status() or {"draining": True})["draining"], "no version drains", 40)
        return f"when {phase}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``hanoverd``, such as ``status``."""
        return subprocess.run(
            self.lab.in_host([*self._program(), *arguments]),
            env={**environment(self.lab), "PYTHONPATH": str(self._tree)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=RECOVERS_WITHIN,
            check=False,
        )

    def set_clock(self, seconds: float) -> None:
        """Set the time of day that hanoverd sees."""
        self._clock.write_text(f"{seconds:+.0f}\n")

    def _asked(self, path: str) -> Any:
        try:
            return get_json(str(self.lab.runtime / f"{APP}.sock"), path)
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def _program(self) -> list[str]:
        """Return how hanoverd is run: by the checkout's own environment, if it has one, which knows its plugins."""
        program = twistd()
        own = self._tree / ".venv-tests" / "bin" / "twistd"
        return [str(own), *program[1:]] if own.exists() else program

    def _environ(self) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{Path(__file__).with_name('clock')}:{self._tree}",
            "CLOCK_FILE": str(self._clock),
            "TMPDIR": str(self._temporary),
            "DOCKER_HOST": f"unix://{self.requests.path}",
            "PATH": f"{self.programs.folder}:{os.environ['PATH']}",
        }

    # -- the app

    def write_app(self, *, megabytes: float = 0, dockerfile: str | None = None, **env: str) -> None:
        """Write another version of the app, in the folder and at the git host."""
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

    def save_image(self) -> Path:
        """Build another version of the app as an archive that the engine does not have; return the archive."""
        self.write_app()
        tag = f"archived/app:v{self._version}"
        self._build(tag)
        folder = self.folder.with_name("archives")
        folder.mkdir(exist_ok=True)
        (folder / "app.tar").write_bytes(self.lab.docker("GET", f"/images/{tag}/get")[1])
        self.lab.docker("DELETE", f"/images/{tag}")
        return folder / "app.tar"

    def push_image(self, *, megabytes: float) -> str:
        """Build another version of the app as an image that only the registry has; return its name."""
        self.write_app(megabytes=megabytes)
        name = f"127.0.0.1:{REGISTRY_PORT}/app"
        tag = f"v{self._version}"
        self._build(f"{name}:{tag}")
        self.lab.docker("POST", f"/images/{name}/push?tag={tag}", headers={"X-Registry-Auth": _NOBODY})
        self.lab.docker("DELETE", f"/images/{name}:{tag}")
        return f"{name}:{tag}"

    def _build(self, tag: str) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for file in sorted(self.folder.iterdir()):
                tar.add(file, file.name)
        self.lab.docker("POST", f"/build?t={tag}&rm=1", buffer.getvalue())

    def publish(self) -> None:
        """Publish a message about the folder to hookbot's listeners."""
        url = hookbot_url("/pub/hanoverd/cwd", "http")
        subprocess.run(
            self.lab.in_host(["curl", "-sf", "--max-time", "10", "-d", "x", url]), check=True, capture_output=True
        )

    def live(self) -> str:
        """Return the version to which the rules route."""
        wait_for(lambda: named(self.lab.iptables_save()), "a live version")
        return named(self.lab.iptables_save()).pop()

    def answering(self) -> str:
        """Return the version that answers a client on the other host; fails with ``ConnectionError``."""
        return hostname(self.lab.in_client, f"http://{self.lab.host_ip}:8080/")

    def process_of(self, container: str) -> int:
        """Return the ID of a container's first process."""
        found: int = get_json(self.lab.engine.socket, f"/containers/{container}/json")["State"]["Pid"]
        return found

    @contextmanager
    def slow_request(self, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
        """Run a client, a curl, that waits so long for an answer of the present live version; yield its process."""
        url = f"http://{self.lab.host_ip}:8080/slow?{seconds}"
        curl = ["curl", "--silent", "--fail", "--max-time", str(seconds + 5), url]
        client = subprocess.Popen(self.lab.in_client(curl), stdout=subprocess.DEVNULL)
        # Its connection belongs to the live version from now on.
        wait_for(lambda: client.poll() is not None or self._is_asked(), "the request arrives")
        try:
            yield client
        finally:
            client.kill()
            client.wait()

    def _is_asked(self) -> bool:
        argv = self.lab.in_client(["ss", "-Htnp", "state", "established", "dport = :8080"])
        return "curl" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the engine's disk, except for a little."""
        ballast = self.lab.folder / "engine" / "data" / "ballast"
        status = os.statvfs(ballast.parent)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - 1_000_000))
        try:
            yield
        finally:
            ballast.unlink()

    # -- recovery

    def wait_until_recovered(self) -> float:
        """Wait until ``checks.py`` finds no problem for a moment; return how long that took, in seconds."""
        begun = time.monotonic()
        recovered_since: float | None = None
        while recovered_since is None or time.monotonic() < recovered_since + STAYS_FOR:
            wrong = self._problems()
            if not wrong:
                recovered_since = recovered_since or time.monotonic()
            else:
                recovered_since = None
                assert not self.daemon.has_ended, f"hanoverd has ended by itself ({self.daemon.wait()})"
                assert time.monotonic() < begun + RECOVERS_WITHIN, (
                    f"not recovered within {RECOVERS_WITHIN} s: {'; '.join(wrong)}"
                )
            time.sleep(0.05)
        return recovered_since - begun

    def have_rules_repaired(self) -> None:
        """Change the rules in a way that costs no request, and wait until hanoverd has repaired them."""
        iptables = ["iptables", "--wait", "5", "-t", "nat"]
        subprocess.run(self.lab.in_host([*iptables, "-I", *_FOREIGN]), check=True)
        try:

            def is_repaired() -> bool:
                first = re.search(r"^-A PREROUTING (.*)$", self.lab.iptables_save(), re.MULTILINE)
                return first is not None and CHAIN in first[1]

            wait_for(is_repaired, "the rules are first again", 10)
        finally:
            subprocess.run(self.lab.in_host([*iptables, "-D", *_FOREIGN]), check=True)

    def left(self) -> list[str]:
        """Return what is left behind after hanoverd has ended, and its app with it."""
        left = [name_of(container) for container in self._containers()]
        left += [line for line in self._rules().splitlines() if CHAIN in line or COMMENT in line]
        left += [str(path) for path in (*self.lab.runtime.iterdir(), *self._temporary.iterdir())]
        left += [str(path) for path in self.state.glob("mirrors/**/checkouts/*")]
        # These are the engine, with its parts, and the site's own helpers.  A proxy of the engine outlives an engine that is killed
        # just when it starts the proxy.
        ours = (str(self.lab.folder), "docker-proxy", "docker-registry", "git daemon", "git-daemon", "hookbot")
        return left + [
            f"process {pid}: {line}" for pid, line in self._processes() if not any(word in line for word in ours)
        ]

    def processes(self, word: str) -> list[int]:
        """Return the processes on the host with ``word`` in their command lines."""
        return [pid for pid, line in self._processes() if word in line]

    def _problems(self) -> list[str]:
        status = self.status()
        if status is None:
            return ["hanoverd does not answer"]
        try:
            wrong = problems(status, self._rules(), self._containers())
            # Only then: it takes long where nothing answers.
            if not wrong and (answering := self.answering()) != status["live"]["version"]:
                wrong.append(f"{answering} answers, and {status['live']['version']} is live")
        except (OSError, AssertionError, RuntimeError, http.client.HTTPException) as error:
            return [str(error)]
        return wrong

    def _containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get_json(self.lab.engine.socket, "/containers/json?all=1")
        return found

    def _rules(self) -> str:
        argv = self.lab.in_host(["iptables-save"])
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def _processes(self) -> list[tuple[int, str]]:
        found = []
        argv = ["ip", "netns", "pids", self.lab.host]
        for pid in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if line:
                found.append((int(pid), line))
        return found


@contextmanager
def site(tree: Path = PROJECT) -> Iterator[Site]:
    """Run a site with its own lab, for the hanoverd of the checkout ``tree``."""
    lab = Lab()
    disk = lab.folder / "engine" / "data"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "faults", str(disk)], check=True)
    try:
        lab.start()
        import_base(lab)
        with tempfile.TemporaryDirectory(prefix="hanoverd-faults-") as folder:
            yield Site(lab, Path(folder), tree)
    finally:
        lab.engine.kill()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        lab.stop()


def wait_for(holds: Callable[[], object], what: object, within: float = 60) -> None:
    """Wait until ``holds`` returns true."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.02)


def end_process(pid: int) -> None:
    """Kill a process; idempotent."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _has_come_to(phase: str, record: dict[str, Any]) -> bool:
    if phase in PHASES:
        return phase in [one["phase"] for one in record["phases"]]
    return phase == "begun" or record["outcome"] == WENT_LIVE


_NOBODY = base64.urlsafe_b64encode(json.dumps({}).encode()).decode()
