"""Which users may use the engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanoverd.docker import access
from hanoverd.docker.access import TrustedUsers

STRANGER, MEMBER = 4321, 4322


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    """An engine's socket."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def trusted(address: str) -> TrustedUsers:
    return TrustedUsers({"DOCKER_HOST": address})


def test_the_mode_of_the_socket_decides(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gid = engine.stat().st_gid
    monkeypatch.setattr(access, "_groups", lambda uid: [7, gid] if uid == MEMBER else [7])
    users = trusted(f"unix://{engine}")
    for mode, expected in (
        (0o660, [MEMBER]),
        (0o600, []),
        (0o640, []),
        (0o666, [STRANGER, MEMBER]),
        (0o606, [STRANGER]),
    ):
        engine.chmod(mode)
        assert [uid for uid in (STRANGER, MEMBER) if uid in users] == expected, oct(mode)


@pytest.mark.parametrize("address", ["unix:///nonexistent", "tcp://127.0.0.1:1", "ssh://host", ""])
def test_root_and_this_user_are_trusted_whatever_the_engine_is(address: str) -> None:
    users = trusted(address or "unix:///nonexistent")
    assert 0 in users
    assert os.geteuid() in users
    assert STRANGER not in users
    assert None not in users


def test_a_user_without_an_account_is_in_no_group() -> None:
    assert access._groups(2**31 - 2) == []
    assert os.getegid() in access._groups(os.geteuid())
