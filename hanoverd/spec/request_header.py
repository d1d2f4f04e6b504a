"""Headers of HTTP requests, as text (RFC 9110, section 5).  A value can be a secret: no error repeats it."""

from __future__ import annotations

import re
from collections.abc import Sequence

Header = tuple[str, str]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")

#: They say how the request itself is sent, which is not the user's to choose.
_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)


def parse_header(text: str) -> Header:
    """Read ``NAME: VALUE``; ValueError for anything else, and for a header that a request must not have."""
    name, colon, value = text.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise ValueError("it must be NAME: VALUE, as in Host: shop.example")
    value = value.strip(" \t")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name} has a character that a header cannot have")
    if name.lower() in _OF_THE_CONNECTION:
        raise ValueError(f"{name} cannot be set: it says how the request is sent")
    if name.lower() == "host" and not re.fullmatch("[!-~]+", value):
        raise ValueError("the value of Host must be a host, as in shop.example or shop.example:8443")
    return name, value


def join_headers(headers: Sequence[Header]) -> tuple[Header, ...]:
    """Return all headers of a request; ValueError for two of Host."""
    if sum(name.lower() == "host" for name, _ in headers) > 1:
        raise ValueError("--status-header: Host is given twice: a request has one")
    return tuple(headers)


def server_name_in(headers: Sequence[Header]) -> str | None:
    """Return the host name in the header Host, without its port; None without one, or for an IP address."""
    host = next((value for name, value in headers if name.lower() == "host"), "")
    name = re.sub(":[0-9]*$", "", host)
    return name if re.search("[A-Za-z]", name) and not name.startswith("[") else None
