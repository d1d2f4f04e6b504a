"""GitHub's webhooks: the topic and the message for a push."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PushMessage:
    """The message for a push, and its topic."""

    topic: str
    body: bytes


def push_message(body: bytes, secret: str) -> PushMessage | None:
    """Return the message for a GitHub webhook that was published with ``?extra-metadata=github``.

    None if the event is not a push to a branch. Raises ValueError for a webhook that is invalid or not signed with
    ``secret``.
    """
    try:
        wrapped = json.loads(body)
        payload = base64.b64decode(wrapped["Payload"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is not a webhook: {error}") from None
    _check_signature(wrapped, payload, secret)
    try:
        event = json.loads(payload)
        repository, ref, after = event["repository"]["full_name"], event["ref"], event["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        event = {}
    if wrapped.get("Event") != "push" or not event or not str(ref).startswith("refs/heads/"):
        return None
    branch = str(ref).removeprefix("refs/heads/")
    pusher = event.get("pusher")
    who = str((pusher.get("name") if isinstance(pusher, dict) else None) or "<unknown>")
    push = {"Branch": branch, "Repo": str(repository), "SHA": str(after), "Type": "push", "Who": who}
    return PushMessage(
        f"github.com/repo/{repository}/branch/{branch}", json.dumps(push, separators=(",", ":")).encode()
    )


def _check_signature(wrapped: Mapping[str, object], payload: bytes, secret: str) -> None:
    """Check the stronger one of GitHub's signatures (GitHub's documentation, "Validating webhook deliveries")."""
    for name, prefix, algorithm in (("Signature256", "sha256=", hashlib.sha256), ("Signature", "sha1=", hashlib.sha1)):
        signature = str(wrapped.get(name) or "")
        if signature:
            expected = prefix + hmac.new(secret.encode(), payload, algorithm).hexdigest()
            if not hmac.compare_digest(expected.encode(), signature.encode()):
                raise ValueError("its signature does not match HOOKBOT_GITHUB_SECRET")
            return
    raise ValueError("it has no signature: set HOOKBOT_GITHUB_SECRET as the secret of the webhook")
