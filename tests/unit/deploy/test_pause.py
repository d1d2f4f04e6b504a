"""A pause is remembered over a restart of hanoverd, as a file."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import capturedLogs

from hanoverd.deploy.pause import PauseFile
from tests.unit.deploy.dummies import ids


def test_the_file_is_there_as_long_as_hanoverd_is_paused(tmp_path: Path) -> None:
    file = PauseFile(tmp_path / "paused")
    assert not file.exists
    file.save(is_paused=True)
    assert file.exists
    assert (tmp_path / "paused").stat().st_mode & 0o777 == 0o600
    file.save(is_paused=False)
    assert not file.exists


def test_a_pause_and_its_end_may_be_saved_twice(tmp_path: Path) -> None:
    file = PauseFile(tmp_path / "paused")
    file.save(is_paused=False)
    file.save(is_paused=True)
    file.save(is_paused=True)
    assert file.exists


def test_a_file_that_cannot_be_written_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "paused"
    with capturedLogs() as logged:
        PauseFile(path).save(is_paused=True)
    assert ids(logged) == ["pause_not_saved"]
