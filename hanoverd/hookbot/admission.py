"""Decides from the head of a request, before its body is read, whether the server answers it.  Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, urlsplit

from hanoverd.hookbot.limits import ServerLimits
from hanoverd.hookbot.protocol import UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.hookbot.tokens import is_valid_token
from hanoverd.runtime.refusal import Refused
from hanoverd.spec.hookbot import decoded_path
from hanoverd.text.quoting import quoted

UNSAFE = "/unsafe/"

#: The topics of GitHub's webhooks start with this.
GITHUB = f"{UNSAFE}github.com/"

#: The query of a webhook of GitHub, which the server reads or wraps with its headers.
_METADATA = "extra-metadata"

_PATH = re.compile(r"(?P<unsafe>/unsafe)?/(?P<verb>pub|sub)/(?P<topic>.*)", re.DOTALL)

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class Verb(Enum):
    """What a request asks for."""

    STATUS = "status"
    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    #: Publish a webhook of GitHub together with its headers.
    WRAP = "wrap"
    #: Publish the push in a webhook of GitHub.
    ROUTE = "route"


@dataclass(frozen=True)
class RequestHead:
    """A request without its body. ``header`` returns the value of a header, or "" without one."""

    method: str
    uri: bytes
    header: Callable[[str], str]


@dataclass(frozen=True)
class Admitted:
    """What a request asks for, for which topic, and how many bytes its body may have.

    ``is_trusted``: the request has a valid token.
    """

    verb: Verb
    topic: str = ""
    most_bytes: int = 0
    is_trusted: bool = False


class Admission:
    """The rules of a server whose tokens are made with ``key``; ``has_router``: it reads GitHub's webhooks."""

    def __init__(self, key: str, limits: ServerLimits, *, has_router: bool) -> None:
        self._key = key
        self._limits = limits
        self._has_router = has_router

    def check(self, head: RequestHead) -> Admitted:
        """Return what a request asks for; raises ``Refused``."""
        raw_path, _, query = head.uri.partition(b"?")
        path = decoded_path(raw_path)
        if len(head.uri) > self._limits.uri or path.count("/") > self._limits.folders:
            raise Refused(
                414,
                f"414 URI Too Long: at most {self._limits.uri} bytes, and {self._limits.folders} slashes in the path",
            )
        if path == "/status":
            _check_method(head, "GET", "HEAD")
            return Admitted(Verb.STATUS)
        found = _PATH.fullmatch(path)
        if found is None:
            raise Refused(404, f"404 Not Found: {quoted(path[:100])} is neither /pub/TOPIC nor /sub/TOPIC")
        is_unsafe = found["unsafe"] is not None
        if not is_unsafe and not is_valid_token(self._key, path, token_of(head.header("Authorization"))):
            raise Refused(401, "401 Unauthorized")
        topic = (UNSAFE if is_unsafe else "") + found["topic"]
        if found["verb"] == "sub":
            return self._subscribe(head, topic, is_unsafe=is_unsafe)
        return self._publish(head, topic, query, is_unsafe=is_unsafe)

    def _subscribe(self, head: RequestHead, topic: str, *, is_unsafe: bool) -> Admitted:
        if is_unsafe and head.header(UNSAFE_HEADER) != UNSAFE_CONSENT:
            raise Refused(400, f"400 Bad Request. {UNSAFE_HEADER} header required.")
        if self._has_router and topic.startswith(GITHUB):
            raise Refused(
                403, "403 Forbidden: GitHub's webhooks are not published here. Listen to the branch, with a token"
            )
        if head.header("Upgrade").lower() != "websocket":
            raise Refused(400, "400 Bad Request: a subscription needs a websocket")
        if not is_same_site(head.header("Origin"), head.header("Host")):
            raise Refused(403, f"403 Forbidden: web pages of {quoted(head.header('Origin')[:100])} may not listen")
        return Admitted(Verb.SUBSCRIBE, topic, is_trusted=not is_unsafe)

    def _publish(self, head: RequestHead, topic: str, query: bytes, *, is_unsafe: bool) -> Admitted:
        _check_method(head, "POST", "PUT")
        fields = parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)
        metadata = next((value for name, value in fields if name == _METADATA), None)
        if metadata not in (None, "github"):
            raise Refused(400, "400 Bad Request (bad ?extra-metadata=)")
        if self._has_router and topic.startswith(GITHUB):
            if metadata is None:
                raise Refused(400, f"400 Bad Request: add ?{_METADATA}=github to the URL of the webhook")
            return Admitted(Verb.ROUTE, topic, self._limits.webhook, is_trusted=not is_unsafe)
        verb = Verb.PUBLISH if metadata is None else Verb.WRAP
        return Admitted(verb, topic, self._limits.message, is_trusted=not is_unsafe)


def _check_method(head: RequestHead, *methods: str) -> None:
    if head.method not in methods:
        words = f"405 Method Not Allowed: use {' or '.join(methods)}"
        raise Refused(405, words, {"Allow": ", ".join(methods)})


def token_of(authorization: str) -> str:
    """Return the token in the header Authorization, or "": a bearer token, or the user name (RFC 6750, RFC 7617)."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer":
        return token
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token, validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


def is_same_site(origin: str, host: str) -> bool:
    """Return whether a page of ``origin`` may open a websocket at ``host``: browsers send both (RFC 6455, 10.2).

    Without a scheme, it is not from a browser: the original hookbot's programs send "//HOST".
    """
    if not origin or origin.startswith("//"):
        return True
    try:
        url = urlsplit(origin)
        own = urlsplit(f"//{host}")
        default = _PORTS.get(url.scheme)
        return url.hostname is not None and (url.hostname, url.port or default) == (own.hostname, own.port or default)
    except ValueError:
        return False
