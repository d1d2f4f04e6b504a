"""What of a folder reaches the engine."""

from __future__ import annotations

import os
import socket
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from hanoverd.edges.blocking_engine import Abort
from hanoverd.errors import EngineUnreachable, ObtainFailed
from hanoverd.model.images import built_name
from hanoverd.sources import folder as module
from hanoverd.sources.folder import FolderSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bit of everything."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "sub" / "run").chmod(0o755)
    (tmp_path / "notes.tmp").write_text("left out")
    (tmp_path / ".dockerignore").write_text("# what nobody needs\n*.tmp\n")
    (tmp_path / "dangling").symlink_to("nowhere")
    return tmp_path


def packed(folder: Path, abort: Abort | None = None) -> dict[str, tarfile.TarInfo]:
    """The entries of the context by their names."""
    source = FolderSource(None, folder, built_name("app"))  # type: ignore[arg-type]  # packing needs no engine
    with source._pack(abort or Abort()) as context, tarfile.open(fileobj=context) as tar:
        return {entry.name: entry for entry in tar}


@pytest.mark.parametrize("small", [0, module.SMALL], ids=["on disk", "in memory"])
def test_all_but_what_is_ignored_is_packed_as_roots(folder: Path, small: int) -> None:
    with mock.patch.object(module, "SMALL", small):
        entries = packed(folder)
    assert {"Dockerfile", "sub", "sub/run", "dangling"} <= set(entries)
    assert "notes.tmp" not in entries
    assert entries["sub/run"].mode & 0o777 == 0o755
    assert entries["dangling"].linkname == "nowhere"
    assert {(entry.uid, entry.gid, entry.uname) for entry in entries.values()} == {(0, 0, "")}


def test_a_socket_is_left_out(folder: Path) -> None:
    # The path of a Unix socket may not be long, and that of a test's folder is.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(short, "listener"))
        os.rename(os.path.join(short, "listener"), folder / "listener")
        assert "listener" not in packed(folder)


def test_what_vanishes_or_may_not_be_read_is_told(folder: Path) -> None:
    denied = PermissionError(13, "Permission denied", "secret")
    with (
        mock.patch.object(module, "_add", side_effect=denied),
        pytest.raises(ObtainFailed, match=r"cannot read the build context .*'secret'.*\.dockerignore"),
    ):
        packed(folder)


def test_packing_ends_when_it_is_broken_off(folder: Path) -> None:
    abort = Abort()
    abort.request()
    with pytest.raises(EngineUnreachable):
        packed(folder, abort)
