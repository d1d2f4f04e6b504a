"""The answers of the control API: JSON, errors too."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger
from twisted.web.server import Request

from hanoverd.runtime.refusal import Refused

log = Logger()


def json_answer(request: Request, status: int, content: object) -> bytes:
    """Set the status of an answer, and return its body."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return json.dumps(content).encode() + b"\n"


def refusal(request: Request, refused: Refused) -> bytes:
    """Refuse a request: return the body of the answer."""
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    return json_answer(request, refused.status, {"error": str(refused)})


def internal_error(request: Request) -> bytes:
    """Log the exception that is being handled, a mistake in hanoverd; return the body of the answer."""
    log.failure("control: internal error", event="internal_error")
    return json_answer(request, 500, {"error": "internal error: see the log of hanoverd"})


def finish(request: Request, body: bytes = b"") -> None:
    """End an answer, if its client is still there."""
    if not (request.finished or request._disconnected):  # noqa: SLF001  # Twisted has no other word for it
        request.unregisterProducer()
        request.write(body)
        request.finish()


def fail(request: Request) -> None:
    """Answer with ``internal_error``; if a part of the answer was sent, close the connection before its end."""
    is_late = request.startedWriting
    body = internal_error(request)
    if is_late and not request.finished:
        channel: Any = request.channel
        channel.transport.abortConnection()
    else:
        finish(request, body)


def is_head(request: Request) -> bool:
    """Whether only the head of an answer is asked for: a stream has no end that could be waited for."""
    return request.method == b"HEAD"
