"""What reaches a listener of hookbot, and hookbot itself: webhooks, messages, and the paths of topics."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlsplit

from hanoverd.hookbot.github import Push, Webhook, read_push
from hanoverd.hookbot.protocol import read_message
from hanoverd.hookbot.tokens import is_valid_token, make_token, url_with_token
from hanoverd.spec.git_location import check_commit
from hanoverd.spec.hookbot import HookbotURL, Subscription, decoded_path
from tests.fuzz.target import Target, text_of

_SECRET = "GitHub's secret"


def _push(data: bytes) -> Push | None:
    """Read a webhook, by its first byte: one that GitHub signed, or any other."""
    if data[:1] != b"s":
        return read_push(Webhook(data, "push", signature256=text_of(data)), _SECRET)
    signature = "sha256=" + hmac.new(_SECRET.encode(), data[1:], hashlib.sha256).hexdigest()
    return read_push(Webhook(data[1:], "push", signature256=signature), _SECRET)


def _check_push(data: bytes, push: Push | None) -> None:
    if push is None:
        return
    assert data[:1] == b"s", "a webhook without a signature was published"
    assert push.topic.startswith("github.com/repo/")
    # A server sends it to the listeners of the topic, and of the folders above it.
    push.topic.encode("utf-8", "surrogateescape")
    fields = json.loads(push.message)
    assert push.topic == f"github.com/repo/{fields['Repo']}/branch/{fields['Branch']}"


_SUBSCRIPTIONS = {
    b"b": "ws://h/sub/github.com/repo/me/app/branch/main",
    b"a": "ws://h/sub/github.com/repo/me/app/branch/",
    b"i": "ws://h/sub/docker-pull/app/tag/v1",
    b"f": "ws://h/unsafe/sub/hanoverd/cwd/",
}


def _read_message(data: bytes) -> tuple[str | None, str]:
    url = _SUBSCRIPTIONS.get(data[:1], _SUBSCRIPTIONS[b"b"])
    return read_message(Subscription.of(HookbotURL.parse(url)), data[1:])


def _check_message(_: bytes, result: tuple[str | None, str]) -> None:
    revision, reason = result
    assert revision is None or check_commit(revision) == revision
    # It becomes a line of the log.
    assert reason.isprintable(), reason


def _read_path(data: bytes) -> tuple[HookbotURL, Subscription | None]:
    text = text_of(data)
    url = HookbotURL.parse(text if "://" in text else f"wss://T@h/{text.lstrip('/')}")
    try:
        return url, Subscription.of(url)
    except ValueError:
        return url, None


def _check_path(data: bytes, result: tuple[HookbotURL, Subscription | None]) -> None:
    url, subscription = result
    assert urlsplit(url.http()).path.encode() == url.quoted_path.encode()
    assert decoded_path(url.quoted_path.encode()) == url.path, "the path does not arrive as it was written"
    assert HookbotURL.parse(str(url)).path == url.path
    token = make_token("key", url.path)
    assert is_valid_token("key", url.path, token)
    assert not is_valid_token("other key", url.path, token)
    folder = url.path[: url.path.rfind("/") + 1]
    if folder:
        assert is_valid_token("key", url.path, make_token("key", folder))
        assert not is_valid_token("key", f"{folder}x\0", make_token("key", f"{folder}y"))
    if "://" not in (text := text_of(data)):
        assert url_with_token(f"/{text.lstrip('/')}", "key", "wss://h")[0] == token
    if subscription is not None:
        repr(subscription)
        assert url.topic


WEBHOOK = Target(
    "webhook",
    _push,
    _check_push,
    refusals=(ValueError,),
    words=(
        *(
            '"ref":',
            "refs/heads/",
            '"before":',
            '"after":',
            '"repository":',
            '"full_name":',
            '"pushed_at":',
            '"pusher":',
        ),
        "\\ud800",
    ),
)

MESSAGE = Target(
    "hookbot-message",
    _read_message,
    _check_message,
    refusals=(ValueError,),
    words=('"Repo":', '"Branch":', '"SHA":', '"Type":"push"', '"Who":', "UPDATE\n", "\0", "\\ud800", "\\u2028"),
)

PATH = Target(
    "hookbot-path",
    _read_path,
    _check_path,
    refusals=(ValueError,),
    words=(
        *("/sub/", "/pub/", "/unsafe/", "/repo/", "/branch/", "docker-pull/", "/tag/", "hanoverd/cwd", "#"),
        *("%23", "%2F", "%ff", "%", ";", "?", "//", "wss://", "@", "\xe4"),
    ),
    longest=512,
)
