"""Folders that hanoverd trusts when it starts again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hanoverd.runtime import private_folder as module
from hanoverd.runtime.errors import StateRefused
from hanoverd.runtime.private_folder import MARKER, private_folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The path of a folder that does not exist yet."""
    return tmp_path / "state" / "mirrors"


def test_it_is_created_for_its_user_only_and_found_again(state: Path) -> None:
    assert private_folder(state) == state
    assert state.stat().st_mode & 0o777 == 0o700
    (state / "file").touch()
    assert private_folder(state) == state
    assert sorted(os.listdir(state)) == [MARKER, "file"]
    assert os.listdir(state.parent) == ["mirrors"]


def test_an_empty_folder_is_replaced(state: Path) -> None:
    state.mkdir(parents=True, mode=0o755)
    private_folder(state)
    assert state.stat().st_mode & 0o777 == 0o700


def test_one_that_was_moved_is_still_known(state: Path) -> None:
    private_folder(state)
    moved = state.with_name("moved")
    state.rename(moved)
    assert private_folder(moved) == moved


def test_many_can_create_it_at_once(state: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(private_folder, [state] * 50)) == {state}
    assert os.listdir(state.parent) == ["mirrors"]


def from_a_repository(state: Path) -> None:
    """As git clone creates it, with a umask that hides it from others."""
    state.mkdir(parents=True, mode=0o700)
    (state / "github.com").mkdir()


def with_a_copied_marker(state: Path) -> None:
    private_folder(state)
    (state / MARKER).write_text("0" * 64 + "\n")


def with_a_link_as_marker(state: Path) -> None:
    private_folder(state)
    (state / MARKER).rename(state / "real")
    (state / MARKER).symlink_to("real")


def open_to_others(state: Path) -> None:
    private_folder(state)
    state.chmod(0o750)


def a_link(state: Path) -> None:
    private_folder(state.with_name("real"))
    state.symlink_to("real")


def a_file(state: Path) -> None:
    state.parent.mkdir()
    state.touch()


def below_a_folder_of_all(state: Path) -> None:
    private_folder(state)
    state.parent.chmod(0o777)


def below_a_file(state: Path) -> None:
    state.parent.touch()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (from_a_repository, "was not created by hanoverd on this machine"),
        (with_a_copied_marker, "was not created by hanoverd on this machine"),
        (with_a_link_as_marker, "was not created by hanoverd on this machine"),
        (open_to_others, "other users have access to"),
        (a_link, "is not a folder, or it is a link"),
        (a_file, "is not a folder, or it is a link"),
        (below_a_folder_of_all, "other users can write to .*: run `chmod go-w "),
        (below_a_file, "cannot use the folder"),
    ],
)
def test_others_are_refused(state: Path, make: Callable[[Path], None], reason: str) -> None:
    make(state)
    with pytest.raises(StateRefused, match=reason):
        private_folder(state)


def test_the_folder_of_another_user_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private_folder(state)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(StateRefused, match="belongs to"):
        private_folder(state)


def test_without_a_machine_id_a_copy_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MACHINE", state.with_name("missing"))
    private_folder(state)
    assert private_folder(state) == state
    copy = state.with_name("copy")
    shutil.copytree(state, copy)
    with pytest.raises(StateRefused, match="was not created by hanoverd"):
        private_folder(copy)


def test_a_folder_with_the_sticky_bit_may_be_writable_for_all(state: Path) -> None:
    state.parent.mkdir()
    state.parent.chmod(0o1777)
    assert private_folder(state) == state
