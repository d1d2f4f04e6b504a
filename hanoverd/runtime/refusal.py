"""The refusal of an HTTP request, and an answer that is sent before the request has been read to its end."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class Refused(ValueError):
    """A request is refused with ``status``, its text for the client, and more ``headers`` of the answer."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


def early_answer(status: int, headers: Mapping[str, str], body: bytes, *, is_head: bool = False) -> bytes:
    """Return an answer as it is sent.  No other one follows on the connection; to a HEAD request, only the head is sent."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
    return head if is_head else head + body
