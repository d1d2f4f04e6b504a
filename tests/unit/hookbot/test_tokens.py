"""hookbot's tokens."""

from __future__ import annotations

import pytest

from hanoverd.hookbot.tokens import is_valid_token, make_token, url_with_token


def test_a_token_is_the_hmac_of_the_path() -> None:
    # printf /sub/hanoverd/cwd | openssl sha1 -hmac key
    assert make_token("key", "/sub/hanoverd/cwd") == "3c3389077ea4c81cbe7289ee7a48cde7108ab83d"


@pytest.mark.parametrize("path", ["/sub/a/b", "/sub/a/", "/sub/", "/", "/a/b", "/a/"])
def test_it_is_good_for_its_path_and_below(path: str) -> None:
    assert is_valid_token("key", "/sub/a/b", make_token("key", path))


@pytest.mark.parametrize("path", ["/sub/a", "/sub/a/b/", "/pub/a/b", "/sub/ab", "a/b"])
def test_and_for_nothing_else(path: str) -> None:
    assert not is_valid_token("key", "/sub/a/b", make_token("key", path))
    assert not is_valid_token("other", "/sub/a/b", make_token("key", "/sub/a/b"))
    assert not is_valid_token("key", "/sub/a/b", "é")


def test_urls_are_given_their_tokens() -> None:
    made = make_token("key", "/sub/a b")
    assert url_with_token("/sub/a b", "key", "https://h:1/") == (made, f"https://{made}@h:1/sub/a%20b")
    assert url_with_token("ws://old@h/sub/a b#c", "key", "") == (made, f"ws://{made}@h/sub/a%20b#c")
