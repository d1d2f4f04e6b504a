"""hookbot's URLs and topics."""

from __future__ import annotations

import pytest

from hanoverd.spec.hookbot import HookbotURL, Subscription, image_of_notify
from hanoverd.spec.source_name import SourceName


def subscription(url: str) -> Subscription:
    """What it stands for."""
    return Subscription.of(HookbotURL.parse(url))


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
    with pytest.raises(ValueError, match=r"is not a topic that hanoverd supports: use .*hanoverd/cwd|lowercase"):
        subscription(f"ws://h{path}")


def test_the_notified_image() -> None:
    assert (
        image_of_notify(HookbotURL.parse("http://T@h/pub/docker-pull/localhost:5000/a/tag/b")).reference
        == "localhost:5000/a:b"
    )
    with pytest.raises(ValueError, match="should be /pub/docker-pull/REPOSITORY/tag/TAG"):
        image_of_notify(HookbotURL.parse("http://T@h/sub/docker-pull/a/tag/b"))
