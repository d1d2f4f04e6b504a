"""hookbot's URLs, tokens, topics and messages."""

from __future__ import annotations

import json

import pytest

from hanoverd.spec.hookbot import HookbotURL, Subscription, image_of_notify, is_token_for, token, with_token
from hanoverd.spec.source_name import SourceName

COMMIT = "1234567890" * 4


def subscription(url: str) -> Subscription:
    """What it stands for."""
    return Subscription.of(HookbotURL.parse(url))


def push(**changed: object) -> bytes:
    """A message of a push."""
    told = {"Type": "push", "Repo": "me/app", "Branch": "main", "SHA": COMMIT, "Who": "somebody"}
    return json.dumps({**told, **changed}).encode()


@pytest.mark.parametrize(
    ("text", "shown", "http"),
    [
        ("wss://T@h/sub/a", "wss://h/sub/a", "https://h/sub/a"),
        ("https://T@h:8443/sub/a#b", "wss://h:8443/sub/a", "https://h:8443/sub/a"),
        ("ws://T:@h:80/sub/a", "ws://h/sub/a", "http://h/sub/a"),
        ("http://h/pub/a%20b", "ws://h/pub/a%20b", "http://h/pub/a%20b"),
        ("http://[::1]:99/pub/a", "ws://[::1]:99/pub/a", "http://[::1]:99/pub/a"),
    ],
)
def test_a_url_is_shown_without_its_token(text: str, shown: str, http: str) -> None:
    url = HookbotURL.parse(text)
    assert (str(url), url.http()) == (shown, http)
    assert "T" not in repr(url)
    assert url.token == ("T" if "T" in text else "")


@pytest.mark.parametrize(
    "text", ["", "h/sub/a", "ftp://h/sub/a", "ws:///sub/a", "ws://h:x/sub/a", "ws://h/sub/a?recursive"]
)
def test_what_is_no_url_of_a_hookbot(text: str) -> None:
    with pytest.raises(ValueError, match="hookbot URL"):
        HookbotURL.parse(text)


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("ws://h/sub/github.com/repo/Me/App/branch/main", SourceName("git", "github.com/Me/App#main:")),
        ("ws://h/sub/h:3000/repo/me/app/branch/v1.0#a/b", SourceName("git", "h:3000/me/app#v1.0:a/b")),
        ("ws://h/sub/github.com/repo/me/app/branch/", SourceName("git", "github.com/me/app#:")),
        ("ws://h/sub/docker-pull/app/tag/latest", SourceName("image", "app:latest")),
        ("ws://h/sub/docker-pull/localhost:5000/a/b/tag/v1", SourceName("image", "localhost:5000/a/b:v1")),
        ("ws://h/sub/hanoverd/cwd", SourceName("folder", ".")),
        ("ws://h/sub/hanoverd/cwd/", SourceName("folder", ".")),
        ("ws://h/unsafe/sub/hanoverd/cwd", SourceName("folder", ".")),
    ],
)
def test_a_topic_says_what_to_obtain(url: str, source: SourceName) -> None:
    assert subscription(url).source == source


@pytest.mark.parametrize(
    "path",
    ["/", "/sub/", "/sub/x", "/pub/hanoverd/cwd", "/sub/github.com/repo/me/app/branch/a/b", "/sub/docker-pull/A/tag/x"],
)
def test_any_other_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not a topic that hanoverd knows; it knows .*hanoverd/cwd|lowercase"):
        subscription(f"ws://h{path}")


def test_a_push_names_its_commit_and_who_pushed() -> None:
    main = subscription("ws://h/sub/github.com/repo/me/app/branch/main")
    assert main.read(push()) == (COMMIT, "somebody pushed 123456789012")
    assert main.read(push(Repo="Me/App"))[0] == COMMIT
    assert main.read(push(Who="\x1b[31m\n"))[1] == "??31m? pushed 123456789012"


def test_a_recursive_message_begins_with_its_topic() -> None:
    every = subscription("ws://h/sub/github.com/repo/me/app/branch/")
    assert every.read(b"github.com/repo/me/app/branch/x\0" + push(Branch="x"))[0] == COMMIT
    unsafe = subscription("ws://h/unsafe/sub/hanoverd/cwd/")
    assert unsafe.read(b"/unsafe/hanoverd/cwd/now\0") == (None, "hookbot")
    for message in (push(), b"elsewhere\0" + push()):
        with pytest.raises(ValueError, match="its topic"):
            every.read(message)


def test_an_image_is_announced_by_update() -> None:
    image = subscription("ws://h/sub/docker-pull/app/tag/v1")
    for message in (b"UPDATE\n", b"update", b""):
        assert image.read(message) == (None, "hookbot: app:v1 was pushed")
    with pytest.raises(ValueError, match='it should be UPDATE, not "<html>"'):
        image.read(b"<html>")


def test_a_message_about_another_kind_of_event() -> None:
    with pytest.raises(ValueError, match='its type is "delete", not push'):
        subscription("ws://h/sub/github.com/repo/me/app/branch/main").read(push(Type="delete"))


def test_the_notified_image() -> None:
    assert (
        image_of_notify(HookbotURL.parse("http://T@h/pub/docker-pull/localhost:5000/a/tag/b")).reference
        == "localhost:5000/a:b"
    )
    with pytest.raises(ValueError, match="should be /pub/docker-pull/REPOSITORY/tag/TAG"):
        image_of_notify(HookbotURL.parse("http://T@h/sub/docker-pull/a/tag/b"))


def test_a_token_is_the_hmac_of_the_path() -> None:
    # printf /sub/hanoverd/cwd | openssl sha1 -hmac key
    assert token("key", "/sub/hanoverd/cwd") == "3c3389077ea4c81cbe7289ee7a48cde7108ab83d"


@pytest.mark.parametrize("path", ["/sub/a/b", "/sub/a/", "/sub/", "/", "/a/b", "/a/"])
def test_it_is_good_for_its_path_and_below(path: str) -> None:
    assert is_token_for("key", "/sub/a/b", token("key", path))


@pytest.mark.parametrize("path", ["/sub/a", "/sub/a/b/", "/pub/a/b", "/sub/ab", "a/b"])
def test_and_for_nothing_else(path: str) -> None:
    assert not is_token_for("key", "/sub/a/b", token("key", path))
    assert not is_token_for("other", "/sub/a/b", token("key", "/sub/a/b"))
    assert not is_token_for("key", "/sub/a/b", "é")


def test_urls_are_given_their_tokens() -> None:
    made = token("key", "/sub/a b")
    assert with_token("/sub/a b", "key", "https://h:1/") == (made, f"https://{made}@h:1/sub/a%20b")
    assert with_token("ws://old@h/sub/a b#c", "key", "") == (made, f"ws://{made}@h/sub/a%20b#c")
