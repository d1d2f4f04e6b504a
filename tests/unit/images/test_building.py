"""What a build reads of a folder, and how much of its output is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from hanoverd.docker.api import BuildRequest
from hanoverd.docker.build_context import LARGEST_FILE, BuildContext
from hanoverd.images.building import MOST_OUTPUT, Builds, has_two_stages, read_dockerfile
from hanoverd.images.folder import FolderSource
from hanoverd.runtime.errors import ObtainFailed, OperationFailed
from hanoverd.spec.image_name import ImageName
from tests.fakes.source_context import source_context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder beside a file that is nobody's business."""
    (tmp_path / "secret").write_text("# syntax=password\n")
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


def failure(folder: Path, dockerfile: str = "Dockerfile") -> str:
    """Return why a Dockerfile is not read."""
    with pytest.raises(ObtainFailed) as caught:
        read_dockerfile(BuildContext(folder, dockerfile))
    assert "password" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("target", ["/dev/zero", "../secret", "/etc/passwd"])
def test_a_dockerfile_that_links_out_of_the_folder_is_refused(folder: Path, target: str) -> None:
    (folder / "Dockerfile").symlink_to(target)
    assert failure(folder) == f"cannot read {folder}/Dockerfile: it is a symbolic link out of the folder"
    with pytest.raises(ObtainFailed, match="it is a symbolic link out of the folder"):
        FolderSource(".", source_context(reactor, None, folder)).check()


def test_a_dockerfile_that_is_a_pipe_a_folder_or_too_large_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "sub").mkdir()
    with (folder / "large").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    assert failure(folder, "pipe").endswith("/pipe: it is not a regular file")
    assert failure(folder, "sub").endswith("/sub: it is not a regular file")
    assert failure(folder, "large").endswith("/large: it is larger than 1048576 bytes")


def test_a_dockerfile_elsewhere_must_be_a_regular_file(folder: Path) -> None:
    assert failure(folder, "/dev/zero") == "cannot read /dev/zero: it is not a regular file"
    assert read_dockerfile(BuildContext(folder, str(folder.parent / "secret"))) == "# syntax=password\n"


def test_a_missing_dockerfile_is_reported_with_what_to_do(folder: Path) -> None:
    assert "there is no Dockerfile in" in failure(folder)
    assert "there is no Dockerfile" in failure(folder, "web")


def test_a_folder_has_two_stages_if_the_file_is_a_regular_one_of_it(folder: Path) -> None:
    assert not has_two_stages(folder)
    (folder / "runtime").mkdir()
    assert not has_two_stages(folder)
    (folder / "runtime" / "Dockerfile").touch()
    assert has_two_stages(folder)
    (folder / "runtime" / "Dockerfile").unlink()
    (folder / "runtime" / "Dockerfile").symlink_to("../../secret")
    with pytest.raises(ObtainFailed, match="runtime/Dockerfile: it is a symbolic link out of the folder"):
        has_two_stages(folder)


class EndlessEngine:
    """Prints lines for a build, and then fails."""

    def __init__(self, lines: int, line: str) -> None:
        self._lines = lines
        self._line = line

    async def build(self, _pack: object, _request: BuildRequest, on_line: Any) -> None:
        for _ in range(self._lines):
            on_line(self._line)
        on_line("the last words")
        raise OperationFailed("step 1 failed")


def test_output_without_end_is_shown_up_to_a_limit_but_its_end_is_kept(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\n")
    line = "x" * 9_999
    engine = EndlessEngine(5000, line)
    shown: list[str] = []
    builds = Builds(source_context(reactor, engine, folder))
    work = Deferred.fromCoroutine(
        builds.build(BuildContext(folder, "Dockerfile"), ImageName("app", "latest"), shown.append)
    )
    reasons: list[str] = []
    work.addErrback(lambda failure: reasons.append(str(failure.value)))
    assert shown[-1] == "the build printed more than 16MiB: the rest is not shown"
    assert MOST_OUTPUT <= sum(len(line) + 1 for line in shown[:-1]) < MOST_OUTPUT + 10_000
    assert "step 1 failed" in reasons[0]
    assert reasons[0].endswith("the last words")
    assert len(reasons[0]) < 30_000
