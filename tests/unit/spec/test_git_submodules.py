"""Where submodules are, and which are allowed."""

from __future__ import annotations

import pytest

from hanoverd.spec.git_location import parse_git
from hanoverd.spec.git_options import is_allowed, parse_submodules
from hanoverd.spec.git_submodules import parse_gitmodules, submodule_location


def test_the_urls_by_path() -> None:
    listing = (
        "submodule.a.b.path\nlib/a\0submodule.a.b.url\n../a\0submodule.x.branch\nmain\0"
        "submodule.only-path.path\ny\0core.fsmonitor\nx\0"
    )
    assert parse_gitmodules(listing) == {"lib/a": "../a"}
    assert parse_gitmodules("") == {}


@pytest.mark.parametrize(
    ("parent", "url", "expected"),
    [
        ("https://h/me/app", "../lib", "https://h/me/lib"),
        ("https://h/me/app", "../../you/lib", "https://h/you/lib"),
        ("https://h/me/app/", "./lib", "https://h/me/app/lib"),
        ("git@h:me/app", "../lib", "git@h:me/lib"),
        ("git@h:me/app", "../../you/lib", "git@h:you/lib"),
        ("https://h/me/app", "git@i:me/lib.git", "git@i:me/lib.git"),
        ("https://h/me/app", "ssh://git@i/me/lib", "ssh://git@i/me/lib"),
        ("file:///srv/app", "../lib", "file:///srv/lib"),
    ],
)
def test_a_url_counts_from_that_of_the_repository(parent: str, url: str, expected: str) -> None:
    assert submodule_location(parse_git(parent, "https"), url).url == expected


@pytest.mark.parametrize(
    "url",
    [
        *("", "/etc", "lib", "h/me/lib", "-x", "-u@h:x", "ext::sh -c x", "http://h/a/b", "git://h/a", "file:///a/b"),
        *(
            "../../../../x",
            "../../../../../../x/y/z",
            "https://h/a/../b",
            "https://h/a#b",
            "https://h/%2e%2e/b",
            "../-x",
        ),
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        submodule_location(parse_git("https://h/me/app", "https"), url)


def test_a_login_counts_for_its_host_only() -> None:
    parent = parse_git("https://me:secret@h:8443/me/app", "https")
    assert submodule_location(parent, "../lib").login == parent.login
    assert submodule_location(parent, "https://h:8443/you/lib").login == parent.login
    assert submodule_location(parent, "https://h/me/lib").login is None
    assert submodule_location(parent, "https://i/me/lib").login is None
    own = submodule_location(parent, "https://you:other@h:8443/me/lib").login
    assert own is not None
    assert (own.user, own.password) == ("you", "other")


@pytest.mark.parametrize(
    ("mirror", "allowed", "expected"),
    [
        ("h/me/lib", (), False),
        ("h/me/lib", ("none",), False),
        ("h/me/lib", ("h/me/lib",), True),
        ("h/me/lib", ("h/me/*",), True),
        ("h/me/lib", ("h/*",), True),
        ("h/8443/me/lib", ("h:8443/me/lib",), True),
        ("h/me/library", ("h/me/lib",), False),
        ("h/meme/lib", ("h/me/*",), False),
        ("h/me", ("h/me/*",), False),
        ("hh/me/lib", ("h/*",), False),
    ],
)
def test_which_repositories_are_allowed(mirror: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert is_allowed(mirror, allowed) is expected


@pytest.mark.parametrize("text", ["none", "h/a/b", "h:8/a/b", "h/a/*", "h/*", "github.com/me/lib.js"])
def test_what_can_be_allowed(text: str) -> None:
    assert parse_submodules(text) == text


@pytest.mark.parametrize("text", ["", "*", "h", "*/a/b", "h/*/b", "https://h/a/b", "h/../b", "h/a/b/", "h/a*"])
def test_what_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="it must be HOST/USER/REPO"):
        parse_submodules(text)
