"""Prometheus and promtool for the tests: this machine's own, or Debian's package, unpacked into a folder and not installed.

usage: python3 -m tests.prometheus

Prints their folder.  Installed, the package would also bring a web interface's libraries, and start a server that listens at
port 9090.  apt verifies the package.  A folder that is there already is used as it is.  Runs as root on Debian, with the
standard library only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.engines import CACHE

_PROGRAMS = ("prometheus", "promtool")


class NoPrometheus(Exception):
    """Prometheus cannot be had."""


def folder() -> Path:
    """Return the folder with both programs; fetches them if they are not there.  Raises ``NoPrometheus``."""
    own = [shutil.which(program) for program in _PROGRAMS]
    if own[0] is not None and own[1] is not None:
        return Path(own[0]).parent
    found = CACHE / "prometheus"
    if found.exists():
        return found
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=CACHE) as temporary:
        programs = _fetch(Path(temporary))
        try:
            programs.rename(found)
        except OSError:
            # Another run was faster.
            if not found.exists():
                raise
    return found


def _fetch(temporary: Path) -> Path:
    # Another user, as whom apt would download, may not enter the folder.
    download = ["apt-get", "-q", "-oAPT::Sandbox::User=root", "download", "prometheus"]
    try:
        _run(download, temporary)
    except NoPrometheus:
        # There may be no lists of packages yet, or old ones.
        _run(["apt-get", "-q", "update"], temporary)
        _run(download, temporary)
    [package] = temporary.glob("prometheus_*.deb")
    _run(["dpkg-deb", "--extract", str(package), "unpacked"], temporary)
    programs = temporary / "programs"
    programs.mkdir(mode=0o755)
    for program in _PROGRAMS:
        shutil.move(temporary / "unpacked" / "usr" / "bin" / program, programs)
    return programs


def _run(command: list[str], cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoPrometheus(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise NoPrometheus(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")


if __name__ == "__main__":
    try:
        print(folder())
    except NoPrometheus as error:
        sys.exit(f"no Prometheus for the tests: {error}\nCheck this machine's network and its sources of apt.")
