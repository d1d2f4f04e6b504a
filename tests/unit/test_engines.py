"""Other engines for the tests: which mirror they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import engines

TARGETS = """\
bookworm main http://mirror.example/debian/ Packages
bookworm main http://mirror.example/debian/ Packages
bookworm contrib http://mirror.example/debian/ Packages
bookworm-updates main http://updates.example/debian/ Packages
bookworm-security main http://security.example/debian-security/ Packages
nodistro main https://other.example/node/ Packages
"""


def test_the_mirror_is_the_one_that_has_this_release_of_debian() -> None:
    assert engines.mirrors(TARGETS, "bookworm") == ["http://mirror.example/debian/"]
    assert engines.mirrors(TARGETS, "trixie") == []


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("Docker version 20.10.24+dfsg1, build 5d6db84\n", "20"),
        ("Docker version 28.5.2+dfsg4, build 3ef3c07\n", "28"),
        ("dockerd: not a version\n", ""),
    ],
)
def test_the_major_version_is_read_from_what_dockerd_prints(printed: str, version: str) -> None:
    assert engines.major(printed) == version


def _machine_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> Path:
    """Have only this engine on PATH, and return its folder."""
    dockerd = tmp_path / "dockerd"
    dockerd.write_text(f'#!/bin/sh\necho "Docker version {version}, build 1"\n')
    dockerd.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engines, "CACHE", tmp_path / "cache")
    return tmp_path


def test_the_machines_own_engine_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = _machine_with(tmp_path, monkeypatch, "26.1.5")
    assert engines.folder_of("26") == own


def test_a_fetched_engine_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_with(tmp_path, monkeypatch, "26.1.5")
    (tmp_path / "cache" / "docker-28").mkdir(parents=True)
    assert engines.folder_of("28") == tmp_path / "cache" / "docker-28"


def test_an_unknown_engine_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _machine_with(tmp_path, monkeypatch, "26.1.5")
    assert engines.main(["19"]) == 1
    said = capsys.readouterr().err
    assert "no Docker 19 for the tests: this machine's engine has version 26" in said
    assert "only knows where to fetch 26, 28" in said
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_machine_without_apt_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _machine_with(tmp_path, monkeypatch, "26.1.5")
    assert engines.main(["28"]) == 1
    assert "apt-get cannot be run: No such file or directory" in capsys.readouterr().err
