"""What of a folder reaches the engine."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import tempfile
from pathlib import Path

import pytest

from hanoverd.docker.abort import Abort
from hanoverd.docker.build_context import PIECE, BuildContext
from hanoverd.images.building import find_build_context
from hanoverd.runtime.errors import EngineUnreachable, ObtainFailed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bit of everything."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "sub" / "run").chmod(0o755)
    (tmp_path / "notes.tmp").write_text("left out")
    (tmp_path / ".dockerignore").write_text("# not needed\n*.tmp\n")
    (tmp_path / "dangling").symlink_to("nowhere")
    return tmp_path


def packed(folder: Path, dockerfile: str = "Dockerfile", abort: Abort | None = None) -> dict[str, tarfile.TarInfo]:
    """The entries of the context by their names."""
    content = b"".join(BuildContext(folder, dockerfile).pack(abort or Abort()))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {entry.name: entry for entry in tar}


def test_all_but_what_is_ignored_is_packed_as_roots(folder: Path) -> None:
    entries = packed(folder)
    assert set(entries) == {".dockerignore", "Dockerfile", "sub", "sub/run", "dangling"}
    assert entries["sub/run"].mode & 0o777 == 0o755
    assert entries["dangling"].linkname == "nowhere"
    assert {(entry.uid, entry.gid, entry.uname) for entry in entries.values()} == {(0, 0, "")}


def test_contents_arrive_whole_and_in_pieces_of_some_size(folder: Path) -> None:
    content = os.urandom(3 * PIECE + 17)
    (folder / "data").write_bytes(content)
    pieces = list(BuildContext(folder, "Dockerfile").pack(Abort()))
    assert max(map(len, pieces)) <= 2 * PIECE
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        file = tar.extractfile("data")
        assert file is not None
        assert file.read() == content


def test_hard_links_stay_links(folder: Path) -> None:
    os.link(folder / "sub" / "run", folder / "sub" / "walk")
    entries = packed(folder)
    # The first of them in the folder is the file.
    assert sorted((entries[name].islnk(), entries[name].linkname) for name in ("sub/run", "sub/walk")) in (
        [(False, ""), (True, "sub/run")],
        [(False, ""), (True, "sub/walk")],
    )


def test_names_that_are_long_or_not_utf8_arrive(folder: Path) -> None:
    (folder / ("n" * 150)).write_text("x")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).write_text("x")
    assert {"n" * 150, os.fsdecode(b"caf\xe9")} <= set(packed(folder))


def test_special_files_are_left_out(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    # The path of a Unix socket may not be long, and that of a test's folder is.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(short, "listener"))
        os.rename(os.path.join(short, "listener"), folder / "listener")
        assert not {"listener", "pipe"} & set(packed(folder))


def test_a_dockerfile_elsewhere_is_packed_under_a_name_of_its_own(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "Dockerfile.web"
    other.write_text("FROM other\n")
    context = find_build_context(folder, other)
    assert context.name_in_context in packed(folder, str(other))
    assert find_build_context(folder, folder / "sub" / "run").dockerfile == "sub/run"


def test_a_dockerfile_may_have_an_ignore_file_of_its_own(folder: Path) -> None:
    (folder / "Dockerfile.dockerignore").write_text("sub\n")
    entries = packed(folder)
    assert "sub/run" not in entries
    assert "notes.tmp" in entries


def test_what_is_needed_is_packed_whatever_is_ignored(folder: Path) -> None:
    (folder / ".dockerignore").write_text("*\n")
    assert set(packed(folder)) == {".dockerignore", "Dockerfile"}


def test_a_file_that_cannot_be_read_is_reported_with_its_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sub" / "a\nb\x1b[31m").touch()
    open_file = os.open

    def denied(name: str, *arguments: int, **how: int) -> int:
        if name == "a\nb\x1b[31m":
            raise PermissionError(13, "Permission denied", name)
        return open_file(name, *arguments, **how)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ObtainFailed, match="cannot read the build context ") as caught:
        packed(folder)
    assert r'"sub/a\nb\x1b[31m": Permission denied. Fix it, or exclude the file in .dockerignore' in str(caught.value)


def test_a_file_that_shrinks_meanwhile_is_told(folder: Path) -> None:
    (folder / "data").write_bytes(bytes(4 * PIECE))
    pieces = BuildContext(folder, "Dockerfile").pack(Abort())
    next(pieces)
    (folder / "data").write_bytes(b"")
    with pytest.raises(ObtainFailed, match="became shorter while it was read"):
        list(pieces)


def test_a_bad_ignore_file_is_told_with_its_line(folder: Path) -> None:
    (folder / ".dockerignore").write_text("a\n[x\n")
    with pytest.raises(ObtainFailed, match=r"\.dockerignore: line 2: the pattern is not valid: the \[ has no \]"):
        packed(folder)


def test_packing_ends_when_it_is_broken_off(folder: Path) -> None:
    abort = Abort()
    abort.request()
    with pytest.raises(EngineUnreachable):
        packed(folder, abort=abort)
