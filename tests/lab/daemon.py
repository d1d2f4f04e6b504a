"""hanoverd under test, as a user runs it: ``twistd -n hanoverd`` on the lab's first host."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import Any, Self

from tests.lab import evidence
from tests.lab.api import get_json
from tests.lab.events import Event, EventLog, Wanted
from tests.lab.host import Lab

PROJECT = Path(__file__).parents[2]

#: The lab's hookbot.
HOOKBOT_PORT, HOOKBOT_KEY, GITHUB_SECRET = 8090, "the lab's key", "GitHub's secret"

#: How long hanoverd may take to stop, in seconds.
ENDS_WITHIN = 60

#: How long to wait for an event or a status, in seconds.  The machine may be busy: where a time matters, a test measures it.
WITHIN = 60


def twistd(*arguments: str) -> list[str]:
    """Return the command line that runs hanoverd in the foreground."""
    return [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "hanoverd", *arguments]


def with_log_format(log_format: str, arguments: Sequence[str]) -> list[str]:
    """Add ``--log-format`` to a command line: after its command, if it has one, and before everything else."""
    command = next((words for words in _COMMANDS if tuple(arguments[: len(words)]) == words), ())
    return [*command, f"--log-format={log_format}", *arguments[len(command) :]]


_COMMANDS = (("hookbot", "serve"), ("builder",), ("web",))


def _position(after: int | Event) -> int:
    return after if isinstance(after, int) else after.position


def under(env: Mapping[str, str] | None) -> list[str]:
    """Return the prefix that runs a command, found on the present PATH, with the variables ``env``."""
    return [] if env is None else ["env", *(f"{name}={value}" for name, value in env.items())]


def environment(lab: Lab) -> dict[str, str]:
    """Return the environment of hanoverd."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {
        "PYTHONPATH": str(PROJECT),
        "DOCKER_HOST": lab.docker_host,
        "HANOVERD_RUNTIME_DIR": str(lab.runtime),
        "HANOVERD_STATE_DIR": str(lab.state),
    }
    return {**kept, **own}


class Daemon:
    """One run of hanoverd; as a context, it is stopped at the end, gracefully if it still runs.

    ``log_format`` None leaves the format to ``arguments``; only JSON has events.
    """

    def __init__(
        self,
        lab: Lab,
        arguments: Sequence[str],
        cwd: Path | str,
        env: Mapping[str, str] | None = None,
        as_user: Sequence[str] = (),
        program: Sequence[str] | None = None,
        log_format: str | None = "json",
    ) -> None:
        if log_format is not None:
            arguments = with_log_format(log_format, arguments)
        command = twistd(*arguments) if program is None else [*program, *arguments]
        self._lab = lab
        self._path = Path(tempfile.mkstemp(prefix="hanoverd-log-")[1])
        self._events = EventLog(self._path)
        with self._path.open("wb") as output:
            self._process = subprocess.Popen(
                lab.in_host([*as_user, *under(env), *command]),
                cwd=cwd,
                env=environment(lab),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process ID of hanoverd: nsenter executes it."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def log(self) -> str:
        """Return the whole output so far."""
        return self._path.read_text(errors="replace")

    @property
    def position(self) -> int:
        """The number of events so far: wait ``after`` it for one that is still to come."""
        return len(self._events.read())

    def events(self, *ids: str, after: int | Event = 0, **fields: object) -> list[Event]:
        """Return the events of these kinds, by default of any, with these values of their fields."""
        wanted = Wanted(ids, fields)
        return [event for event in self._events.read()[_position(after) :] if wanted.matches(event)]

    def wait_event(self, *ids: str, timeout: float = WITHIN, after: int | Event = 0, **fields: object) -> Event:
        """Return the first event of one of these kinds, with these values of its fields."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self._process.poll()
            found = self.events(*ids, after=after, **fields)
            if found:
                return found[0]
            wanted = Wanted(ids, fields)
            assert ended is None, f"hanoverd has ended ({ended}) without {wanted}:\n{self.log()}"
            assert time.monotonic() < deadline, f"no {wanted} within {timeout} s:\n{self.log()}"
            time.sleep(0.02)

    def wait_live(self, version: str, *, timeout: float = WITHIN, after: int | Event = 0) -> Event:
        """Wait until a version is live."""
        return self.wait_event("live", version=version, timeout=timeout, after=after)

    def wait_gone(self, version: str, *, timeout: float = WITHIN, after: int | Event = 0) -> Event:
        """Wait until a replaced version has stopped, and was removed or kept for a rollback."""
        return self.wait_event("removed", "kept", version=version, timeout=timeout, after=after)

    def status(self) -> Any:
        """Return the app's status, from the control socket."""
        return get_json(str(self._lab.runtime / f"{self.wait_event('running')['app']}.sock"), "/status")

    def wait_status(self, holds: Callable[[Any], object], timeout: float = WITHIN) -> Any:
        """Return the app's status as soon as ``holds`` returns true for it."""
        deadline = time.monotonic() + timeout
        while not holds(status := self.status()):
            assert time.monotonic() < deadline, f"not within {timeout} s; the status was {status}"
            time.sleep(0.05)
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def handles(self, number: Signals) -> bool:
        """Whether the process has a handler for a signal (proc_pid_status(5), SigCgt)."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)

    def hup(self) -> None:
        """Trigger a handover."""
        self.signal(signal.SIGHUP)

    def terminate(self) -> int:
        """Stop hanoverd gracefully; return its exit status."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout: float = ENDS_WITHIN) -> int:
        """Wait for the end of the process; return its exit status."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hanoverd has not ended within {timeout} s:\n{self.log()}") from None

    def kill(self) -> None:
        """Kill the process, without a chance to clean up."""
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Remove the log file."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._keep_containers()
        try:
            self.terminate()
        finally:
            if self._process.poll() is None:
                self.kill()
            evidence.keep(f"log of hanoverd, process {self.pid}", self.log())
            self.forget()

    def _keep_containers(self) -> None:
        try:
            shown = [
                f"{one['Names'][0].lstrip('/')}: {one['Status']}, created {one['Created']}"
                for one in self._lab.containers()
            ]
        except (OSError, AssertionError) as error:
            shown = [f"unknown: {error}"]
        evidence.keep("containers at the failure", "\n".join(shown))


def token_of(path: str) -> str:
    """Return the token for a path of the lab's hookbot."""
    return hmac.new(HOOKBOT_KEY.encode(), path.encode(), hashlib.sha1).hexdigest()


def hookbot_url(path: str, scheme: str = "ws", port: int = HOOKBOT_PORT) -> str:
    """Return a URL of the lab's hookbot with its token."""
    return f"{scheme}://{token_of(path.partition('#')[0])}@127.0.0.1:{port}{path}"


def hookbot_server(lab: Lab, *arguments: str) -> Daemon:
    """Run a hookbot server on the lab's first host."""
    env = {"HOOKBOT_KEY": HOOKBOT_KEY, "HOOKBOT_GITHUB_SECRET": GITHUB_SECRET}
    server = Daemon(lab, ["hookbot", "serve", f"--bind=127.0.0.1:{HOOKBOT_PORT}", *arguments], "/", env)
    server.wait_event("hookbot_serving")
    return server


def run_to_end(
    lab: Lab,
    arguments: Sequence[str],
    cwd: Path | str,
    env: Mapping[str, str] | None = None,
    as_user: Sequence[str] = (),
) -> tuple[int, str, str]:
    """Run hanoverd until it ends; return its exit status, standard output and standard error."""
    done = subprocess.run(
        lab.in_host([*as_user, *under(env), *twistd(*arguments)]),
        cwd=cwd,
        env=environment(lab),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
