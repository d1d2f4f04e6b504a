"""hookbot's protocol: what its clients and its server have to agree on, and how to read a message.

A message that is POSTed to ``/pub/TOPIC`` is sent to all websockets that are connected to ``/sub/TOPIC``.
"""

from __future__ import annotations

import json
import re

from hanoverd.spec.git_location import check_commit
from hanoverd.spec.hookbot import Subscription
from hanoverd.spec.source_name import IMAGE
from hanoverd.text.quoting import quoted

#: The header that a subscriber of an unsafe topic has to send: everybody may publish there.
UNSAFE_HEADER = "X-Hookbot-Unsafe-Is-Ok"
UNSAFE_CONSENT = "I understand the security implications"

#: The size of the largest message that listeners accept, in bytes.
MAX_MESSAGE_BYTES = 1024 * 1024

#: The message of a ``docker-pull`` topic: an image was pushed.
UPDATE = b"UPDATE\n"


def read_message(subscription: Subscription, message: bytes) -> tuple[str | None, str]:
    """Return the revision in a message (None: the newest), and the reason for the trigger.

    Raises ValueError for a message that is invalid for this topic.
    """
    body = _body(subscription, message)
    if subscription.repository is not None:
        return _read_push(subscription, body)
    if subscription.source.scheme != IMAGE:
        return None, "hookbot"
    if body.strip().upper() not in (b"", UPDATE.strip()):
        raise ValueError(f"it should be UPDATE, not {_excerpt(body)}")
    return None, f"hookbot: {subscription.source.text} was pushed"


def _body(subscription: Subscription, message: bytes) -> bytes:
    url = subscription.url
    if not url.is_recursive:
        return message
    topic, separator, body = message.partition(b"\0")
    if not separator:
        raise ValueError("it should start with its topic and a zero byte, because the subscription is recursive")
    wanted = ("/unsafe/" if url.is_unsafe else "") + (url.topic or "")
    if not topic.startswith(wanted.encode("utf-8", "surrogateescape")):
        raise ValueError(f"its topic {_excerpt(topic)} is not part of the subscription")
    return body


def _read_push(subscription: Subscription, body: bytes) -> tuple[str | None, str]:
    try:
        push = json.loads(body)
        fields = {name: push[name] for name in ("Repo", "Branch", "SHA")}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"it should be JSON with Repo, Branch and SHA, not {_excerpt(body)}") from None
    _check_field("repository", str(fields["Repo"]), subscription.repository, ignore_case=True)
    _check_field("branch", fields["Branch"], subscription.branch, ignore_case=False)
    if push.get("Type", "push") != "push":
        raise ValueError(f"its type is {quoted(str(push['Type']))}, not push")
    if not str(fields["SHA"]).strip("0"):
        raise ValueError("the branch was deleted")
    commit = check_commit(str(fields["SHA"]))
    who = re.sub(r"[^\w .@<>-]", "?", str(push.get("Who", "")))[:100]
    return commit, f"{who or 'unknown user'} pushed {commit[:12]}"


def _check_field(name: str, value: object, wanted: str | None, *, ignore_case: bool) -> None:
    """Raise ValueError unless ``value`` is ``wanted`` (None: any). Git hosts ignore the case of repositories."""
    is_equal = str(value).lower() == str(wanted).lower() if ignore_case else value == wanted
    if wanted is not None and not is_equal:
        raise ValueError(f"its {name} is {quoted(str(value))}, not {quoted(wanted)}")


def _excerpt(body: bytes) -> str:
    text = body[:60].decode(errors="replace")
    return quoted(text) + ("…" if len(body) > len(body[:60]) else "")
