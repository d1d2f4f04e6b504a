"""GitHub's webhooks: checks their signature, and reads pushes to branches.

GitHub's documentation: "Validating webhook deliveries", and "Webhook events and payloads", push.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hanoverd.runtime.refusal import Refused

_BRANCH = "refs/heads/"

#: How much of a webhook's own text a message repeats.
_EXCERPT = 100


@dataclass(frozen=True)
class Webhook:
    """A webhook as it was received: the body, and GitHub's headers X-GitHub-Event, X-Hub-Signature and
    X-Hub-Signature-256.
    """

    payload: bytes = field(repr=False)
    event: str = ""
    signature: str = ""
    signature256: str = ""


@dataclass(frozen=True)
class Push:
    """A push to a branch, from commit ``before`` to commit ``after``.

    ``pushed_at`` is the time of the last push to the repository, in whole seconds since 1970. ``digest`` identifies the
    payload: a delivery that GitHub repeats has the same.
    """

    repository: str
    branch: str
    before: str
    after: str
    pushed_at: float
    who: str
    digest: bytes = field(repr=False)

    @property
    def topic(self) -> str:
        """The topic of the branch."""
        return f"github.com/repo/{self.repository}/branch/{self.branch}"

    @property
    def message(self) -> bytes:
        """The message for the branch's listeners."""
        push = {"Branch": self.branch, "Repo": self.repository, "SHA": self.after, "Type": "push", "Who": self.who}
        return json.dumps(push, separators=(",", ":")).encode()


def read_push(webhook: Webhook, secret: str) -> Push | None:
    """Return the push that a webhook reports; None for other events, and for pushes of tags.

    Raises ``Refused`` for a webhook that is not signed with ``secret``, or is no webhook of GitHub.
    """
    _check_signature(webhook, secret)
    if webhook.event != "push":
        return None
    try:
        event = json.loads(webhook.payload)
        ref = _text(event, "ref")
        if not ref.startswith(_BRANCH):
            return None
        repository = event["repository"]
        return Push(
            _text(repository, "full_name"),
            ref.removeprefix(_BRANCH),
            _text(event, "before"),
            _text(event, "after"),
            _time(repository["pushed_at"]),
            _who(event),
            hashlib.sha256(webhook.payload).digest(),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise Refused(400, f"it is not a push of GitHub ({_reason(error)}). {_FORMAT}") from None


_FORMAT = "The content type of the webhook has to be application/json"


def _check_signature(webhook: Webhook, secret: str) -> None:
    """Check the stronger one of the two signatures."""
    for signature, algorithm in ((webhook.signature256, "sha256"), (webhook.signature, "sha1")):
        if signature:
            expected = f"{algorithm}={hmac.new(secret.encode(), webhook.payload, algorithm).hexdigest()}"
            if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape")):
                raise Refused(403, "its signature does not match HOOKBOT_GITHUB_SECRET")
            return
    raise Refused(403, "it has no signature: set HOOKBOT_GITHUB_SECRET as the secret of the webhook")


def _text(values: Any, name: str) -> str:
    value = values[name]
    if not isinstance(value, str):
        raise TypeError(f"its {name} is no text")
    # A JSON text can have halves of surrogate pairs, which are no characters.
    value.encode()
    return value


def _time(value: object) -> float:
    """Return a time in seconds since 1970: a push has that number, and other events have text (ISO 8601)."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("its repository.pushed_at is no time")
    return float(value)


def _who(event: Any) -> str:
    pusher = event.get("pusher")
    return str((pusher.get("name") if isinstance(pusher, dict) else None) or "<unknown>")


def _reason(error: Exception) -> str:
    reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
    return reason[:_EXCERPT]
