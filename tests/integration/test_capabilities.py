"""What hanoverd runs as root for strangers - git, ssh, hooks, builds - has none of its capabilities."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.integration.conftest import StartDaemon
from tests.lab.git import Repository, ssh_host
from tests.lab.host import Lab
from tests.lab.images import write_app

#: CAP_DAC_READ_SEARCH of linux/capability.h, as a set.
READING = 1 << 2

_SPY = """#!/bin/sh
grep -E '^(Cap|NoNewPrivs)' /proc/self/status > {folder}/{name}.status
exec {program} "$@"
"""


@pytest.fixture
def spied(tmp_path: Path) -> Path:
    """A folder for the start of PATH: its programs note the capabilities that they have, in NAME.status."""
    folder = tmp_path / "spied"
    folder.mkdir()
    for name in ("git", "ssh", "docker", "iptables-save", "iptables-restore"):
        # Debian's own: another docker may be first on PATH, and have no BuildKit.
        program = shutil.which(name, path="/usr/bin:/usr/sbin")
        spy = folder / name
        spy.write_text(_SPY.format(folder=folder, name=name, program=program))
        spy.chmod(0o755)
    return folder


def sets(text: str) -> dict[str, int]:
    """Return the capability sets in lines of /proc/PID/status."""
    return {name: int(value, 16) for name, value in re.findall(r"^(Cap\w+|NoNewPrivs):\s*(\w+)$", text, re.MULTILINE)}


def empty(*, bounding: int = 0) -> dict[str, int]:
    """Return the sets of a root process with this bounding set."""
    return {"CapInh": 0, "CapPrm": bounding, "CapEff": bounding, "CapBnd": bounding, "CapAmb": 0, "NoNewPrivs": 1}


def test_git_ssh_hooks_and_builds_have_no_capabilities_but_iptables_has(
    lab: Lab, daemon: StartDaemon, spied: Path, tmp_path: Path
) -> None:
    with ssh_host(tmp_path / "hosted", prefixed=lab.in_host) as host:
        repository = Repository(tmp_path / "work", tmp_path / "hosted" / "me" / "app")
        write_app(repository.work)
        repository.commit({})
        env = {"PATH": f"{spied}:{os.environ['PATH']}", **host.environ, "HOME": str(tmp_path)}
        source = f"ssh://root@{host.name}{repository.bare}"
        with daemon(
            *(
                "-p",
                "8080:80",
                "--name",
                "weak",
                "--state-dir",
                str(tmp_path / "state"),
            ),
            *("--builder", "buildkit", "--hook", f"live=cat /proc/self/status > {spied}/hook.status", source),
            cwd=tmp_path,
            env=env,
        ) as hanoverd:
            hanoverd.wait_live("weak-0")
            own = sets(Path(f"/proc/{hanoverd.pid}/status").read_text())
        found = {file.stem: sets(file.read_text()) for file in spied.glob("*.status")}
    assert own["CapEff"] != 0
    assert found == {
        **dict.fromkeys(("git", "ssh", "hook"), empty()),
        # Its context may be a folder that only another user can read.
        "docker": empty(bounding=READING),
        **dict.fromkeys(("iptables-save", "iptables-restore"), own),
    }


def test_root_builds_a_folder_that_only_another_user_can_read(app_folder: Path, daemon: StartDaemon) -> None:
    for path in (app_folder, *app_folder.iterdir()):
        path.chmod(0o700)
        os.chown(path, 65534, 65534)
    with daemon("-p", "8080:80", "--name", "private", "--builder", "buildkit", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("private-0")
