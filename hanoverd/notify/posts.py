"""What is posted to webhooks: the body in the format that they take, and its signature.  Pure."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Mapping

from hanoverd.spec.events import DIED, DRAINED, FAILED, LIVE, OBTAINED, READY, Event
from hanoverd.spec.notifications import SLACK, NotificationSpec

#: The header with the signature: "sha256=" and the HMAC-SHA256 (RFC 2104) of the body, in hexadecimal digits.
SIGNATURE = "X-Hanoverd-Signature-256"

#: The longest reason in a message, in characters; Slack cuts a message after 40,000.
_LONGEST_REASON = 3000

_CUT = "… (cut)\n"

#: What Slack reads as a link, a user or a group in a message (docs.slack.dev, "Formatting message text").
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

_FENCE = "```"

_WORDS = {
    OBTAINED: "its image is there: {image}",
    READY: "ready ({image})",
    LIVE: "live ({image})",
    FAILED: "failed",
    DRAINED: "stopped",
    DIED: "exited while it was live",
}


def body_of(event: Event, spec: NotificationSpec) -> bytes:
    """Return the body of the post, JSON in UTF-8."""
    return _slack(event) if spec.format == SLACK else event.json()


def headers_of(body: bytes, spec: NotificationSpec) -> Mapping[str, str]:
    """Return the headers of the post: with a secret, the signature."""
    if not spec.secret:
        return {}
    digest = hmac.new(os.fsencode(spec.secret), body, "sha256").hexdigest()
    return {SIGNATURE: f"sha256={digest}"}


def _slack(event: Event) -> bytes:
    return json.dumps({"text": _text(event)}, ensure_ascii=False).encode()


def _text(event: Event) -> str:
    # Control characters are escaped, and values have a limit.
    values = event.environment()
    version = values["HANOVERD_NEW"] or event.app
    words = _WORDS[event.kind].format(image=values["HANOVERD_IMAGE"])
    old = values["HANOVERD_OLD"]
    replaced = f", in the place of {old}" if event.kind == LIVE and old else ""
    return f"{version}: {words}{replaced}".translate(_ESCAPES) + _quoted(values["HANOVERD_REASON"])


def _quoted(reason: str) -> str:
    """Return the reason as preformatted text, in which no name is a mention; the end says more than the beginning."""
    if not reason:
        return ""
    if len(reason) > _LONGEST_REASON:
        reason = _CUT + reason[len(_CUT) - _LONGEST_REASON :]
    return f"\n{_FENCE}\n{reason.replace(_FENCE, chr(39) * 3).translate(_ESCAPES)}\n{_FENCE}"
