"""The token of the page: only its hash is kept, and it can be replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hanoverd.runtime.errors import WebError
from hanoverd.web.token import LONGEST_TOKEN, TokenFile, TokenHash, token_message


def test_the_first_start_creates_a_token_and_the_next_one_keeps_it(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "state" / "page.token")
    token = file.create()
    assert token is not None
    assert len(token) >= 32
    assert file.create() is None
    assert file.read().fits(token)


def test_the_file_holds_no_token_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "page.token"
    token = TokenFile(path).replace()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()


def test_two_hashes_of_one_token_differ_and_fit_it_alone() -> None:
    one, other = TokenHash.of("a token"), TokenHash.of("a token")
    assert one != other
    assert one.fits("a token")
    assert other.fits("a token")
    for wrong in ("", "a toke", "a token ", "A token", "a token\0", "x" * (LONGEST_TOKEN + 1), "\udcff"):
        assert not one.fits(wrong)


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    page, command = TokenFile(tmp_path / "page.token"), TokenFile(tmp_path / "page.token")
    first = page.replace()
    assert page.read() is page.read()
    second = command.replace()
    assert page.read().fits(second)
    assert not page.read().fits(first)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"salt": 1, "scrypt": 2}', b'{"salt": "00", "scrypt": "00"}', b"\xff"]
)
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.token"
    path.write_bytes(content)
    with pytest.raises(WebError, match="it is damaged: run `hanoverd web --new-token`"):
        TokenFile(path).create()
    assert TokenFile(path).replace()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(TokenHash.of("known to another user").write())
    (tmp_path / "page.token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WebError, match="symbolic link"):
        TokenFile(tmp_path / "page.token").read()


def test_a_folder_that_other_users_can_change_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    os.chmod(folder, 0o777)
    with pytest.raises(WebError, match="all users may write"):
        TokenFile(folder / "page.token").create()


def test_the_message_has_the_token_and_how_to_replace_it() -> None:
    assert "abc" in token_message("abc")
    assert "--new-token" in token_message("abc")
