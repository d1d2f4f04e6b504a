"""Programs are found in the absolute folders of PATH, and never in the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanoverd.runtime.errors import ProgramMissing
from hanoverd.runtime.search_path import find_program, find_programs, limit_search_path

#: Paths that search the current folder, or a folder in it.
UNSAFE = ["", ":", ".", "::", "/nonexistent:", ":/nonexistent", "bin", "./bin", "bin:/nonexistent", "~/bin", "../here"]

PROGRAMS = ("iptables-save", "iptables-restore", "conntrack", "git", "docker", "setsid", "sh", "docker-credential-x")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """A current folder with programs in it and in folders of it; each run of one creates the file ``ran``."""
    folder = tmp_path / "here"
    for place in (folder, folder / "bin", folder / "~" / "bin"):
        place.mkdir(parents=True)
        for name in PROGRAMS:
            (place / name).write_text(f"#!/bin/sh\necho {name} >> {folder}/ran\n")
            (place / name).chmod(0o755)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.mark.parametrize("path", UNSAFE)
@pytest.mark.parametrize("name", [*PROGRAMS, "./git", "bin/git"])
def test_the_current_folder_is_not_searched(here: Path, path: str, name: str) -> None:
    assert (here / name).exists()
    with pytest.raises(ProgramMissing):
        find_program(name, {"PATH": path})


def test_without_path_nothing_is_found() -> None:
    with pytest.raises(ProgramMissing):
        find_program("sh", {})


def test_all_programs_of_a_name_are_found_in_the_order_of_path(here: Path) -> None:
    path = {"PATH": f":{here}/bin:relative:{here}"}
    assert list(find_programs("git", path)) == [f"{here}/bin/git", f"{here}/git"]
    assert find_program("git", path) == f"{here}/bin/git"
    assert find_program(f"{here}/git", {}) == f"{here}/git"
    (here / "bin" / "git").chmod(0o644)
    assert find_program("git", path) == f"{here}/git"


@pytest.mark.parametrize("path", UNSAFE)
def test_children_do_not_search_the_current_folder(here: Path, path: str) -> None:
    environ = {"PATH": path}
    limit_search_path(environ)
    ended = subprocess.run(["/bin/sh", "-c", "conntrack"], env=environ, capture_output=True, check=False)
    assert ended.returncode == 127
    assert not (here / "ran").exists()


def test_a_path_of_absolute_folders_is_not_changed() -> None:
    environ = {"PATH": "/a:/b c:/a"}
    limit_search_path(environ)
    assert environ == {"PATH": "/a:/b c:/a"}
    nothing: dict[str, str] = {}
    limit_search_path(nothing)
    assert nothing == {}


@pytest.mark.parametrize("path", [":/nonexistent", "bin:/nonexistent"])
def test_a_start_runs_nothing_of_the_current_folder(here: Path, path: str, tmp_path: Path) -> None:
    (here / "Dockerfile").write_text("FROM scratch\n")
    ended = subprocess.run(
        [sys.executable, "-c", "from hanoverd.cli.main import main; main()", "--name", f"path-{os.getpid()}"],
        env={
            "PATH": path,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "DOCKER_HOST": f"unix://{tmp_path}/nothing",
            "HANOVERD_RUNTIME_DIR": str(tmp_path / "run"),
            "HANOVERD_STATE_DIR": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the program iptables-save is not on PATH" in ended.stderr
    assert not (here / "ran").exists()
