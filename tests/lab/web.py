"""``hanoverd web`` on the lab's first host."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.lab.api import call
from tests.lab.daemon import PROJECT, environment, twistd
from tests.lab.host import Lab


class Web:
    """One run of ``hanoverd web``, for the control sockets in ``runtime``; as a context, it is stopped at the end.

    ``hostname`` is the name of the machine that it is to show.
    """

    def __init__(
        self,
        lab: Lab,
        *options: str,
        runtime: Path | None = None,
        bind: str = "127.0.0.1:8900",
        hostname: str = "",
    ) -> None:
        self.url = f"http://{bind}"
        variables = environment(lab)
        if runtime is not None:
            variables["HANOVERD_RUNTIME_DIR"] = str(runtime)
        self._process = subprocess.Popen(
            lab.in_host([*_named(hostname), *twistd("web", f"--bind={bind}", *options)]),
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        #: What it has printed until it listens.
        self.printed = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed += line
            if "listening at" in line:
                return
        raise AssertionError(f"hanoverd web has ended: {self.printed}")

    @property
    def token(self) -> str:
        """The token for logins, which the first run prints."""
        return max(self.printed.split(), key=len)

    def kill(self) -> None:
        """Kill the process, without a chance to clean up."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def _named(hostname: str) -> list[str]:
    """Return the prefix that runs a command where the machine has another name."""
    return ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', hostname] if hostname else []


class FakeApps:
    """The control sockets of many apps, as ``tests.lab.fake_apps`` serves them, in the folder ``runtime``."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime

    def post(self, app: str, path: str, body: object) -> None:
        """Send a request to an app's control socket."""
        status, answer = call(str(self.runtime / f"{app}.sock"), "POST", path, body)
        assert status == 200, answer


@contextmanager
def fake_apps(count: int, handovers: int) -> Iterator[FakeApps]:
    """Serve apps without an engine."""
    with tempfile.TemporaryDirectory(prefix="hanoverd-apps-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.fake_apps", folder, str(count), str(handovers)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield FakeApps(Path(folder))
        finally:
            process.terminate()
            process.communicate()
