"""Files and folders that only this user and root can change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.deploy.pause import PauseFile
from hanoverd.runtime import private_files
from hanoverd.runtime.private_files import exists, open_file, read_file, replace_file


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    assert read_file(file, 4) == b"0123"
    assert read_file(file, 100) == b"0123456789"
    assert exists(file)
    assert not exists(tmp_path / "missing")


@pytest.mark.parametrize("bad", ["link", "dangling", "fifo", "folder"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, bad: str) -> None:
    file, target = tmp_path / "file", tmp_path / "target"
    if bad == "link":
        target.write_text("precious")
        file.symlink_to(target)
    elif bad == "dangling":
        file.symlink_to(target)
    elif bad == "fifo":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(OSError):
        read_file(file, 10)
    with pytest.raises(OSError):
        os.close(open_file(file, os.O_RDWR | os.O_CREAT))
    assert target.exists() == (bad == "link")


def test_a_device_is_refused() -> None:
    with pytest.raises(PermissionError) as caught:
        read_file(Path("/dev/zero"), 10)
    assert caught.value.strerror == "it is not a regular file"


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(private_files, "_own_users", lambda: (4321,))
    with pytest.raises(PermissionError) as caught:
        read_file(tmp_path / "file", 10)
    assert caught.value.strerror == f"it belongs to another user (uid {os.geteuid()})"


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    file, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_text("precious")
    file.write_text("old")
    # What another user may have prepared, or a process that was killed has left.
    (tmp_path / "file.new").symlink_to(victim)
    with file.open() as reader:
        replace_file(file, b"new")
        assert reader.read() == "old"
    assert (file.read_text(), victim.read_text()) == ("new", "precious")
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "victim"]


def test_a_link_in_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "file").symlink_to(victim)
    replace_file(tmp_path / "file", b"new")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


# -- the files of the daemon


def test_the_number_file_does_not_follow_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("77")
    for name in ("web.next-version", "web.next-version.new"):
        (tmp_path / name).symlink_to(victim)
    numbers = VersionNumbers(tmp_path / "web.next-version")
    assert numbers.next == 0
    numbers.use(5)
    assert victim.read_text() == "77"
    assert VersionNumbers(tmp_path / "web.next-version").next == 6


def test_the_number_file_is_not_read_without_a_limit(tmp_path: Path) -> None:
    (tmp_path / "web.next-version").write_bytes(b"7" * 10_000_000)
    assert VersionNumbers(tmp_path / "web.next-version").next == 0


def test_a_number_is_not_saved_where_all_users_can_change_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o777)
    VersionNumbers(folder / "web.next-version").use(5)
    assert list(folder.iterdir()) == []


def test_the_pause_file_does_not_follow_links(tmp_path: Path) -> None:
    file, victim = PauseFile(tmp_path / "web.paused"), tmp_path / "victim"
    (tmp_path / "web.paused").symlink_to(victim)
    assert not file.exists
    file.save(is_paused=True)
    assert not victim.exists()
    (tmp_path / "web.paused").unlink()
    file.save(is_paused=True)
    assert file.exists
    file.save(is_paused=False)
    assert not file.exists


def test_a_pause_file_of_another_user_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PauseFile(tmp_path / "web.paused")
    file.save(is_paused=True)
    monkeypatch.setattr(private_files, "_own_users", lambda: (4321,))
    assert not file.exists


def test_a_file_is_not_inherited_by_children(tmp_path: Path) -> None:
    descriptor = open_file(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    code = f"import os; os.fstat({descriptor})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, close_fds=False)
    os.close(descriptor)
    assert b"Bad file descriptor" in ended.stderr
