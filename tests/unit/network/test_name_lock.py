"""One hanoverd for each name of an app."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Container, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from hanoverd.network import name_lock
from hanoverd.network.abstract_names import hold_name, holder_of
from hanoverd.network.name_lock import NameLock, if_unlocked, is_name_locked, lock_name
from hanoverd.runtime import private_files
from hanoverd.runtime.errors import ControlError, NameTaken

#: Another user.
STRANGER = 4321

NAME = f"lock-{os.getpid()}"

HOLD = """
import socket, sys
held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
held.bind("\\0" + sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""

#: A hanoverd that was killed, as far as the lock knows it.
LOCK = """
import sys
from pathlib import Path
from hanoverd.network.name_lock import lock_name
lock = lock_name(sys.argv[1], Path(sys.argv[2]), (0,))
print("locked", flush=True)
sys.stdin.read()
"""

OWN = (0, os.geteuid())


def lock(folder: Path, name: str = NAME, trusted: Container[int] = OWN) -> NameLock:
    return lock_name(name, folder, trusted)


@contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_a_name_belongs_to_one_hanoverd_at_a_time(tmp_path: Path) -> None:
    first = lock(tmp_path)
    with pytest.raises(NameTaken, match=f"an app named {NAME} is running already: send it SIGHUP"):
        lock(tmp_path)
    lock(tmp_path, f"other-{NAME}").close()
    first.close()
    lock(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_hanoverd_of_the_same_user_with_another_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with closing(lock(tmp_path)), pytest.raises(NameTaken, match="is running already"):
        lock(tmp_path / "other")
    lock(tmp_path / "other").close()


def test_a_lock_that_a_killed_hanoverd_left_is_free(tmp_path: Path) -> None:
    with running(LOCK, NAME, str(tmp_path)) as other:
        with pytest.raises(NameTaken):
            lock(tmp_path)
        assert is_name_locked(NAME, tmp_path, OWN)
        other.kill()
        other.wait()
        assert (tmp_path / f"{NAME}.lock").exists()
        assert not is_name_locked(NAME, tmp_path, OWN)
        lock(tmp_path).close()


def test_a_hanoverd_of_an_older_version_is_noticed(tmp_path: Path) -> None:
    # It binds the name, and has no file.
    with running(HOLD, f"hanoverd/app/{NAME}"):
        with pytest.raises(NameTaken, match="is running already: send it SIGHUP"):
            lock(tmp_path)
        assert is_name_locked(NAME, tmp_path, OWN)
    lock(tmp_path).close()


def test_an_older_version_notices_this_one(tmp_path: Path) -> None:
    with closing(lock(tmp_path)):
        assert hold_name(f"hanoverd/app/{NAME}") is None


def test_a_user_who_may_not_use_the_engine_cannot_keep_it_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_lock, "holder_of", lambda _name: STRANGER)
    with running(HOLD, f"hanoverd/app/{NAME}"):
        assert not is_name_locked(NAME, tmp_path, OWN)
        with closing(lock(tmp_path)) as held:
            assert held.ignored == f"a process of uid {STRANGER}, who may not use the engine, holds it"
            assert is_name_locked(NAME, tmp_path, OWN)
            with pytest.raises(NameTaken):
                lock(tmp_path)


def test_an_unknown_user_cannot_keep_it_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lock, "holder_of", lambda _name: None)
    with running(HOLD, f"hanoverd/app/{NAME}"), closing(lock(tmp_path)) as held:
        assert "an unknown user" in held.ignored


def test_another_user_who_may_use_the_engine_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lock, "holder_of", lambda _name: STRANGER)
    with running(HOLD, f"hanoverd/app/{NAME}"):
        with pytest.raises(NameTaken, match=f"is running already as another user .uid {STRANGER}."):
            lock(tmp_path, trusted=(*OWN, STRANGER))
        assert is_name_locked(NAME, tmp_path, (*OWN, STRANGER))


def test_a_check_at_the_same_moment_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    file = tmp_path / f"{NAME}.lock"
    file.touch()
    with file.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        release = threading.Timer(0.05, fcntl.flock, (other, fcntl.LOCK_UN))
        release.start()
        lock(tmp_path).close()
        release.join()


def test_what_needs_an_unlocked_name_locks_it_meanwhile(tmp_path: Path) -> None:
    done: list[bool] = []
    if_unlocked(NAME, tmp_path, OWN, lambda: done.append(is_name_locked(NAME, tmp_path, OWN)))
    assert done == [True]
    assert list(tmp_path.iterdir()) == []
    with closing(lock(tmp_path)):
        if_unlocked(NAME, tmp_path, OWN, lambda: done.append(False))
    with running(HOLD, f"hanoverd/app/{NAME}"):
        if_unlocked(NAME, tmp_path, OWN, lambda: done.append(False))
        if_unlocked(NAME, tmp_path, (), lambda: done.append(True))
    if_unlocked(NAME, tmp_path / "missing", OWN, lambda: done.append(False))
    assert done == [True, True]


@pytest.mark.parametrize("bad", ["link", "folder", "fifo"])
def test_a_file_that_is_no_lock_is_not_used(tmp_path: Path, bad: str) -> None:
    file, target = tmp_path / f"{NAME}.lock", tmp_path / "precious"
    target.write_text("precious")
    if bad == "link":
        file.symlink_to(target)
    elif bad == "folder":
        file.mkdir()
    else:
        os.mkfifo(file)
    with pytest.raises(
        ControlError, match=f"cannot lock the name {NAME} with the file .*: set HANOVERD_RUNTIME_DIR to"
    ):
        lock(tmp_path)
    assert not is_name_locked(NAME, tmp_path, OWN)
    assert target.read_text() == "precious"


def test_a_file_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{NAME}.lock").touch()
    monkeypatch.setattr(private_files, "check_folder", lambda _folder: None)
    monkeypatch.setattr(private_files, "_own_users", lambda: (STRANGER,))
    with pytest.raises(ControlError, match="it belongs to another user"):
        lock(tmp_path)


def test_a_folder_that_every_user_can_change_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "run"
    folder.mkdir(parents=True)
    for open_to_all in (folder, folder.parent):
        open_to_all.chmod(0o777)
        with pytest.raises(ControlError, match=f"all users may write to {open_to_all}: set"):
            lock(folder)
        open_to_all.chmod(0o755)
    # In such a folder, users can only replace their own files.
    folder.chmod(0o1777)
    lock(folder).close()


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "_own_users", lambda: (STRANGER,))
    with pytest.raises(ControlError, match="belongs to another user"):
        lock(tmp_path)


def test_the_holder_of_an_abstract_name_is_known() -> None:
    name = f"holder-{NAME}"
    assert holder_of(name) is None
    with running(HOLD, name):
        assert holder_of(name) == os.geteuid()
        assert holder_of(name[:-1]) is None
        # A socket of another type has a name of its own.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(f"\0{name}-datagrams")
            assert holder_of(f"{name}-datagrams") is None
    held = hold_name(name)
    assert held is not None
    with held:
        assert holder_of(name) == os.geteuid()
        assert hold_name(name) is None
    assert holder_of(name) is None


def test_the_holder_is_found_among_many_sockets() -> None:
    name = f"many-{NAME}"
    with ExitStack() as sockets:
        for number in range(500):
            one = sockets.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(f"\0{name}-{number}-{'x' * 60}")
        assert {holder_of(f"{name}-{number}-{'x' * 60}") for number in range(0, 500, 50)} == {os.geteuid()}
