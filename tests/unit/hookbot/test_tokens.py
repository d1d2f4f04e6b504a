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


@pytest.mark.parametrize(
    ("text", "base", "path", "url"),
    [
        ("/sub/a b", "https://h:1/", "/sub/a b", "wss://TOKEN@h:1/sub/a%20b"),
        ("/unsafe/sub/a", "http://h", "/unsafe/sub/a", "ws://TOKEN@h/unsafe/sub/a"),
        ("/pub/a", "https://h", "/pub/a", "https://TOKEN@h/pub/a"),
        ("/pub/a", "wss://h", "/pub/a", "https://TOKEN@h/pub/a"),
        ("/a/", "ws://h", "/a/", "http://TOKEN@h/a/"),
        ("/subject", "http://h", "/subject", "http://TOKEN@h/subject"),
        # The path as it is sent, and as it is meant.
        ("/sub/feature%231", "http://h", "/sub/feature#1", "ws://TOKEN@h/sub/feature%231"),
        ("/sub/größe;x", "http://h", "/sub/größe;x", "ws://TOKEN@h/sub/gr%C3%B6%C3%9Fe%3Bx"),
        ("/sub/100%25", "http://h", "/sub/100%", "ws://TOKEN@h/sub/100%25"),
        # A query and a fragment stay, and are not part of what the token is for.
        ("/pub/a?extra-metadata=github", "http://h", "/pub/a", "http://TOKEN@h/pub/a?extra-metadata=github"),
        ("/sub/a#b c", "http://h", "/sub/a", "ws://TOKEN@h/sub/a#b%20c"),
        ("/sub/a?x#b", "http://h", "/sub/a", "ws://TOKEN@h/sub/a?x#b"),
        ("wss://old@h/pub/a?x", "", "/pub/a", "wss://TOKEN@h/pub/a?x"),
        ("https://old@h/sub/a", "", "/sub/a", "https://TOKEN@h/sub/a"),
        ("sub/a", "http://h", "sub/a", "http://TOKEN@h/sub/a"),
    ],
)
def test_urls_are_given_their_tokens(text: str, base: str, path: str, url: str) -> None:
    token = make_token("key", path)
    assert url_with_token(text, "key", base) == (token, url.replace("TOKEN", token))
