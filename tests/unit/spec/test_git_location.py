"""The locations of repositories, and their passwords."""

from __future__ import annotations

import pytest

from hanoverd.spec.git_location import Login, parse_git


@pytest.mark.parametrize(
    ("text", "url", "login"),
    [
        ("https://me:p%40ss@h:8/a/b", "https://h:8/a/b", Login("me", "p@ss")),
        ("https://token@h/a/b", "https://h/a/b", Login("token", None)),
        ("https://token:@h/a/b", "https://h/a/b", Login("token", "")),
        ("ssh://git@h/a/b", "ssh://git@h/a/b", None),
        ("git@h:a/b", "git@h:a/b", None),
    ],
)
def test_the_login_is_not_in_the_url(text: str, url: str, login: Login | None) -> None:
    found = parse_git(text, "https")
    assert (found.url, found.login) == (url, login)
    assert "p@ss" not in f"{found!r}{found.shown}"
    assert "token" not in f"{found!r}{found.shown}"


@pytest.mark.parametrize(
    "text",
    [
        *("https://me:secret@h/a b", "https://me:se@secret@h/a/b", "https://me:secret@/a/b", "ssh://me:secret@h/a/b"),
        *("https://me:secret%0ahost=x@h/a/b", "https://me:secret@h/../b", "me:secret@h/a/b", "x://me:secret@h/a"),
    ],
)
def test_an_error_does_not_repeat_a_password(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_git(text, "https")
    assert "secret" not in str(raised.value)
