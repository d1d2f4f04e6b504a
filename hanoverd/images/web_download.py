"""Requests to web servers that may be hostile, by HTTPS or HTTP, as streams.

All functions block. They raise ``ObtainFailed``, with messages that have nothing of what the server sent, and no secret of
the URL; or ``EngineUnreachable`` after an abort.
"""

from __future__ import annotations

import base64
import hashlib
import http
import http.client
import os
import re
import socket
import ssl
import string
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from hanoverd.docker.abort import Abort
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.text.sizes import format_size

#: How many redirects are followed.
MAX_REDIRECTS = 5

#: The longest version of an archive that is kept as it is, in characters.
_LONGEST_VERSION = 128

_DEFAULT_PORTS = {"http": 80, "https": 443}


class HttpStatus(ObtainFailed):
    """The server answered with an error; ``code`` is its HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Answer:
    """The answer of a web server: its headers, and its body, to be read as a stream."""

    def __init__(self, response: http.client.HTTPResponse, shown: str, abort: Abort) -> None:
        self._response = response
        self._shown = shown
        self._abort = abort
        self._count = 0

    @property
    def version(self) -> str | None:
        """The version of what was asked for: its ETag, or the time of its last change."""
        return short_version(self._response.headers.get("ETag") or self._response.headers.get("Last-Modified"))

    @property
    def length(self) -> int | None:
        """How many bytes are still to come, if the server said it."""
        return self._response.length

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, as soon as some have come; none at the end."""
        with _reported(self._shown, self._abort):
            piece = self._response.read1(size)
        self._count += len(piece)
        if not piece and self._response.length:
            raise ObtainFailed(
                f"cannot get the archive {self._shown}: the server stopped after {format_size(self._count)} of "
                f"{format_size(self._count + self._response.length)}"
            )
        return piece

    def close(self) -> None:
        """Close the connection."""
        self._response.close()


def ask(location: str, method: str, shown: str, seconds: float, abort: Abort) -> Answer:
    """Return the answer to a request; ``seconds`` is the limit for each read. ``abort`` ends the request at any time.

    Follows redirects, but not from HTTPS to HTTP. The login in the URL is sent to no other host.
    """
    url = urlsplit(location)
    login = f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username is not None else None
    start = url = url._replace(netloc=url.netloc.rpartition("@")[2], fragment="")
    for _ in range(MAX_REDIRECTS + 1):
        request = urllib.request.Request(url.geturl(), method=method)  # noqa: S310  # its scheme was checked
        if login is not None and _origin(url) == _origin(start):
            request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        with _reported(shown, abort):
            try:
                return Answer(_opener(abort).open(request, timeout=seconds), shown, abort)
            except urllib.error.HTTPError as error:
                error.close()
                target = error.headers.get("Location") if error.code in (301, 302, 303, 307, 308) else None
                if target is None:
                    raise
        url = _redirected(url, target, shown)
    raise ObtainFailed(f"cannot get the archive {shown}: more than {MAX_REDIRECTS} redirects follow each other")


def short_version(text: str | None) -> str | None:
    """Return a version that a server sent; one that is long, or cannot be printed, is replaced by its digest."""
    if not text or re.fullmatch(rf"[ -~]{{1,{_LONGEST_VERSION}}}", text):
        return text or None
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()}"


def _redirected(url: SplitResult, target: str, shown: str) -> SplitResult:
    refusal = f"cannot get the archive {shown}: the server redirects to "
    try:
        # Servers send other characters unencoded, too; http.client reads headers as ISO 8859-1.
        found = urlsplit(urljoin(url.geturl(), quote(target, safe=string.punctuation, encoding="iso-8859-1")))
        is_valid = bool(found.hostname) and found.port != 0 and "@" not in found.netloc
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ObtainFailed(f"{refusal}an invalid location")
    if found.scheme not in _DEFAULT_PORTS:
        raise ObtainFailed(f"{refusal}a location that is not on a web server")
    if (url.scheme, found.scheme) == ("https", "http"):
        raise ObtainFailed(f"{refusal}HTTP, which is not encrypted: use the URL of an HTTPS server only")
    return found._replace(fragment="")


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)


@contextmanager
def _reported(shown: str, abort: Abort) -> Iterator[None]:
    """Raise ``ObtainFailed`` for the errors of a request, without what the server sent: it may repeat what it got."""
    try:
        yield
        # After an abort, what was read looks like the end.
        abort.check()
    except urllib.error.HTTPError as error:
        status = f"HTTP status {error.code} {http.client.responses.get(error.code, '')}".rstrip()
        raise HttpStatus(f"cannot get the archive {shown}: {status}", error.code) from None
    except OSError as error:
        abort.check()
        reason = getattr(error, "reason", None) or error.strerror or error
        raise ObtainFailed(f"cannot get the archive {shown}: {reason}") from None
    except (http.client.HTTPException, ValueError) as error:
        abort.check()
        raise ObtainFailed(
            f"cannot get the archive {shown}: the server's answer is not valid HTTP, or incomplete ({type(error).__name__})"
        ) from None


def _opener(abort: Abort) -> urllib.request.OpenerDirector:
    """Return what sends a request: through the proxy of the environment, without redirects, to web servers only."""
    # Not urlopen: since Python 3.12 it keeps the trusted certificates that it loaded first for the life of the process.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Handler(abort),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Handler(urllib.request.HTTPHandler):
    """Sends requests on connections that can be aborted from their beginning."""

    def __init__(self, abort: Abort) -> None:
        super().__init__()
        self._abort = abort

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection(_Watched), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection(_WatchedWithTLS), req, context=ssl.create_default_context())

    https_request = urllib.request.HTTPHandler.http_request

    def _connection(self, kind: type[_Watched]) -> Callable[..., Any]:
        def connection(*args: Any, **kwargs: Any) -> _Watched:
            made = kind(*args, **kwargs)
            made.abort = self._abort
            return made

        return connection


class _Watched(http.client.HTTPConnection):
    """A connection that ``abort`` shuts down, also while it waits for TLS or for the headers of the answer."""

    abort: Abort

    def connect(self) -> None:
        self.abort.check()
        super().connect()
        self.abort.watch(_duplicate(self.sock))


class _WatchedWithTLS(http.client.HTTPSConnection, _Watched):
    """The same with TLS: the socket is watched before TLS begins, because ``HTTPSConnection.connect`` calls the one above."""


def _duplicate(sock: socket.socket) -> socket.socket:
    """Return the same socket with a descriptor of its own: the library closes the original."""
    return socket.socket(fileno=os.dup(sock.fileno()))
