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
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import Self

from tests.lab.host import Lab

PROJECT = Path(__file__).parents[2]

#: The lab's hookbot.
HOOKBOT_PORT, HOOKBOT_KEY, GITHUB_SECRET = 8090, "the lab's key", "GitHub's secret"

#: How long the daemon may take to end once it was told to, in seconds.
ENDS_WITHIN = 60


def twistd(*arguments: str) -> list[str]:
    """The command line that runs hanoverd in the foreground."""
    return [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "hanoverd", *arguments]


def under(env: Mapping[str, str] | None) -> list[str]:
    """What comes before a command that is to find ``env`` around it, but is itself still found on our own PATH."""
    return [] if env is None else ["env", *(f"{name}={value}" for name, value in env.items())]


def environment(lab: Lab) -> dict[str, str]:
    """What hanoverd finds around it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {
        "PYTHONPATH": str(PROJECT),
        "DOCKER_HOST": lab.docker_host,
        "HANOVERD_RUNTIME_DIR": str(lab.runtime),
        "HANOVERD_STATE_DIR": str(lab.state),
    }
    return {**kept, **own}


class Daemon:
    """One run of hanoverd; as a context, it is ended at the end, gracefully if it still runs."""

    def __init__(
        self,
        lab: Lab,
        arguments: Sequence[str],
        cwd: Path | str,
        env: Mapping[str, str] | None = None,
        as_user: Sequence[str] = (),
        program: Sequence[str] | None = None,
    ) -> None:
        command = twistd(*arguments) if program is None else [*program, *arguments]
        self._log = Path(tempfile.mkstemp(prefix="hanoverd-log-")[1])
        with self._log.open("wb") as output:
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
        """The daemon's own process: nsenter becomes it."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    def log(self) -> str:
        """All that it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str, timeout: float = 30, after: int = 0) -> re.Match[str]:
        """The first match of ``pattern`` in the log, from character ``after`` on."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern, re.MULTILINE).search(self.log(), after)
            if found:
                return found
            ended = self._process.poll()
            assert ended is None, f"hanoverd has ended ({ended}) without {pattern!r}:\n{self.log()}"
            assert time.monotonic() < deadline, f"no {pattern!r} within {timeout} s:\n{self.log()}"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def takes(self, number: Signals) -> bool:
        """Whether it has a handler for a signal (proc_pid_status(5), SigCgt)."""
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
        """Stop it gracefully; its exit status."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout: float = ENDS_WITHIN) -> int:
        """Its exit status, once it has ended."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hanoverd has not ended within {timeout} s:\n{self.log()}") from None

    def kill(self) -> None:
        """End it with no chance to clean up."""
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Remove its log: it has ended."""
        self._log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            self.terminate()
        finally:
            if self._process.poll() is None:
                self.kill()
            self.forget()


def token_of(path: str) -> str:
    """The token for a path of the lab's hookbot."""
    return hmac.new(HOOKBOT_KEY.encode(), path.encode(), hashlib.sha1).hexdigest()


def hookbot_url(path: str, scheme: str = "ws", port: int = HOOKBOT_PORT) -> str:
    """A URL of the lab's hookbot, with the token for it."""
    return f"{scheme}://{token_of(path.partition('#')[0])}@127.0.0.1:{port}{path}"


def hookbot_server(lab: Lab, *arguments: str) -> Daemon:
    """A hookbot on the lab's first host."""
    env = {"HOOKBOT_KEY": HOOKBOT_KEY, "HOOKBOT_GITHUB_SECRET": GITHUB_SECRET}
    server = Daemon(lab, ["hookbot", "serve", f"--bind=127.0.0.1:{HOOKBOT_PORT}", *arguments], "/", env)
    server.wait_for("hookbot serves")
    return server


def run_to_end(
    lab: Lab,
    arguments: Sequence[str],
    cwd: Path | str,
    env: Mapping[str, str] | None = None,
    as_user: Sequence[str] = (),
) -> tuple[int, str, str]:
    """A start that is expected to fail: exit status, standard output, standard error."""
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
