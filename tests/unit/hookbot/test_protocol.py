"""hookbot's messages."""

from __future__ import annotations

import json

import pytest

from hanoverd.hookbot.protocol import read_message
from hanoverd.spec.hookbot import HookbotURL, Subscription

COMMIT = "1234567890" * 4


def subscription(url: str) -> Subscription:
    """What it stands for."""
    return Subscription.of(HookbotURL.parse(url))


def push(**changed: object) -> bytes:
    """A message of a push."""
    told = {"Type": "push", "Repo": "me/app", "Branch": "main", "SHA": COMMIT, "Who": "somebody"}
    return json.dumps({**told, **changed}).encode()


def test_a_push_names_its_commit_and_who_pushed() -> None:
    main = subscription("ws://h/sub/github.com/repo/me/app/branch/main")
    assert read_message(main, push()) == (COMMIT, "somebody pushed 123456789012")
    assert read_message(main, push(Repo="Me/App"))[0] == COMMIT
    assert read_message(main, push(Who="\x1b[31m\n"))[1] == "??31m? pushed 123456789012"


def test_a_recursive_message_begins_with_its_topic() -> None:
    every = subscription("ws://h/sub/github.com/repo/me/app/branch/")
    assert read_message(every, b"github.com/repo/me/app/branch/x\0" + push(Branch="x"))[0] == COMMIT
    unsafe = subscription("ws://h/unsafe/sub/hanoverd/cwd/")
    assert read_message(unsafe, b"/unsafe/hanoverd/cwd/now\0") == (None, "hookbot")
    for message in (push(), b"elsewhere\0" + push()):
        with pytest.raises(ValueError, match="its topic"):
            read_message(every, message)


def test_an_image_is_announced_by_update() -> None:
    image = subscription("ws://h/sub/docker-pull/app/tag/v1")
    for message in (b"UPDATE\n", b"update", b""):
        assert read_message(image, message) == (None, "hookbot: app:v1 was pushed")
    with pytest.raises(ValueError, match='it should be UPDATE, not "<html>"'):
        read_message(image, b"<html>")


def test_a_message_about_another_kind_of_event() -> None:
    with pytest.raises(ValueError, match='its type is "delete", not push'):
        read_message(subscription("ws://h/sub/github.com/repo/me/app/branch/main"), push(Type="delete"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Repo": "me/other"}, 'its repository is "me/other", not "me/app"'),
        ({"Branch": "dev"}, 'its branch is "dev", not "main"'),
        ({"Branch": "Main"}, 'its branch is "Main", not "main"'),
        ({"SHA": "0" * 40}, "the branch was deleted"),
    ],
)
def test_a_message_that_is_invalid_for_the_topic(changed: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_message(subscription("ws://h/sub/github.com/repo/me/app/branch/main"), push(**changed))
