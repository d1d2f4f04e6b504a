"""Files whose names come from somebody else are read below a folder only."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from hanoverd.runtime.regular_files import open_entry, read_below, read_regular


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder beside a file that is nobody's business."""
    (tmp_path / "secret").write_text("the password")
    (tmp_path / "app" / "sub").mkdir(parents=True)
    (tmp_path / "app" / "file").write_text("content")
    return tmp_path / "app"


def refusal(folder: Path, name: str, most: int = 100) -> str:
    """Return why a file is not read, after a check that no descriptor is left open."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError) as caught:
        read_below(folder, name, most)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    return caught.value.strerror or ""


def test_a_file_is_read_also_through_links_that_stay_below(folder: Path) -> None:
    (folder / "sub" / "link").symlink_to("../other")
    (folder / "other").symlink_to("./sub/..//file")
    (folder / "folder").symlink_to("sub")
    assert read_below(folder, "file", 7) == b"content"
    assert read_below(folder, "sub/link", 7) == b"content"
    assert read_below(folder, "folder/link", 7) == b"content"


@pytest.mark.parametrize(
    "target", ["../secret", "/etc/hostname", "sub/../../secret", "../app/file", "sub/out", "/dev/zero", "/proc/version"]
)
def test_a_link_out_of_the_folder_is_refused(folder: Path, target: str) -> None:
    (folder / "sub" / "out").symlink_to("../../secret")
    (folder / "link").symlink_to(target)
    assert refusal(folder, "link") == "it is a symbolic link out of the folder"


def test_a_folder_that_is_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "up").symlink_to("..")
    assert refusal(folder, "up/secret") == "it is a symbolic link out of the folder"
    assert refusal(folder, "sub/../../secret") == "it is a symbolic link out of the folder"


def test_links_that_go_round_are_refused(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    assert refusal(folder, "a") == "Too many levels of symbolic links"


def test_links_that_grow_are_refused(folder: Path) -> None:
    (folder / "a").symlink_to("sub/../" * 500 + "a")
    assert refusal(folder, "a") == "Too many levels of symbolic links"


def test_what_is_not_a_regular_file_is_refused_without_waiting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for name in ("pipe", "socket", "sub", "."):
            assert refusal(folder, name) == "it is not a regular file"


def test_a_path_of_very_many_folders_is_refused(folder: Path) -> None:
    name = "d/" * 150
    (folder / name).mkdir(parents=True)
    (folder / name / "file").touch()
    assert refusal(folder, f"{name}file") == "its path has too many folders"


def test_a_large_file_is_refused_before_it_is_in_memory(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert refusal(folder, "sparse", 1000) == "it is larger than 1000 bytes"
    assert refusal(folder, "file", 6) == "it is larger than 6 bytes"


def test_what_is_missing_is_a_file_not_found(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_below(folder, "none", 1)
    with pytest.raises(FileNotFoundError):
        read_below(folder, "none/file", 1)
    with pytest.raises(NotADirectoryError):
        read_below(folder, "file/file", 1)


def test_a_file_that_the_user_names_can_be_anywhere_but_must_be_regular(folder: Path) -> None:
    (folder / "link").symlink_to("../secret")
    assert read_regular(folder / "link", 100) == b"the password"
    with pytest.raises(OSError, match="it is not a regular file"):
        read_regular(Path("/dev/zero"), 100)


def test_an_entry_that_became_a_link_after_it_was_checked_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def look_then_replace(name: str, **how: Any) -> os.stat_result:
        found = look(name, **how)
        (folder / "file").unlink()
        (folder / "file").symlink_to("../secret")
        return found

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        monkeypatch.setattr(os, "stat", look_then_replace)
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            open_entry(descriptor, "file")
    finally:
        os.close(descriptor)


def test_an_entry_that_became_a_pipe_after_it_was_checked_is_refused_without_waiting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def look_then_replace(name: str, **how: Any) -> os.stat_result:
        found = look(name, **how)
        (folder / "file").unlink()
        os.mkfifo(folder / "file")
        return found

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        monkeypatch.setattr(os, "stat", look_then_replace)
        with pytest.raises(OSError, match="it is not a regular file"):
            open_entry(descriptor, "file")
    finally:
        os.close(descriptor)
