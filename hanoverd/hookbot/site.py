"""The HTTP side of the hookbot server: it admits a request before it reads its body, and limits its time and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, combinedLogFormatter, datetimeToLogString
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import provider

from hanoverd.hookbot.admission import Admitted, RequestHead
from hanoverd.hookbot.limits import ServerLimits
from hanoverd.runtime.refusal import Refused, early_answer

#: The longest line of the access log, in characters.
_LONGEST_LINE = 1000

_TEXT = "text/plain; charset=utf-8"


class Answers(Protocol):
    """The server behind the site."""

    def admit(self, head: RequestHead) -> Admitted:
        """Return what a request asks for, before its body is read; raises ``Refused``."""

    def answer(self, admitted: Admitted, request: Request, body: bytes) -> bytes | int:
        """Answer an admitted request; raises ``Refused``."""


def header(request: Request, name: str) -> str:
    """Return the value of a request's header, or "" without one."""
    # Twisted would fail at bytes that are not UTF-8.
    return (request.getHeader(name.encode()) or b"").decode("utf-8", "replace")


class _Channel(HTTPChannel):
    """A connection whose time limits do not start again at each byte."""

    site: HookbotSite

    _is_closing = False

    def dataReceived(self, data: bytes) -> None:
        """Read, without a new time limit."""
        LineReceiver.dataReceived(self, data)

    def allHeadersReceived(self) -> None:
        """Admit the request, and start the time limit for its body."""
        request: _Request = self.requests[-1]
        request.begin(self._command, self._path, self._version)
        self.setTimeout(self.site.limits.body_timeout)  # type: ignore[no-untyped-call]  # as above
        super().allHeadersReceived()  # type: ignore[no-untyped-call]  # as above

    def allContentReceived(self) -> None:
        """Answer the request; the next one has its own time limit, which ``requestDone`` starts."""
        self.setTimeout(self.site.limits.head_timeout)  # type: ignore[no-untyped-call]  # as above
        super().allContentReceived()  # type: ignore[no-untyped-call]  # as above

    def requestDone(self, request: Any) -> None:
        """Read the next request, or close the connection."""
        # A client that does not read its answers: Twisted 26.10 would read on, and keep the answers in memory.
        self.persistent = self.persistent and not self._waitingForTransport
        super().requestDone(request)  # type: ignore[no-untyped-call]  # as above
        if not self.persistent:
            self._expect_end()

    def close(self) -> None:
        """Close the connection when the answer is sent, or after a moment."""
        self.loseConnection()  # type: ignore[no-untyped-call]  # as above
        self._expect_end()

    def _expect_end(self) -> None:
        self._is_closing = True
        self.setTimeout(self.site.limits.linger)  # type: ignore[no-untyped-call]  # as above

    def timeoutConnection(self) -> None:
        """Close the connection; answer first, if the head of a request is there."""
        request: _Request | None = self.requests[-1] if self.requests else None
        if self._is_closing or (request is not None and request.is_answered):
            self.transport.abortConnection()  # type: ignore[union-attr]  # there is one
        elif request is None or not request.has_begun:
            self.close()
        else:
            limit = self.site.limits.body_timeout
            request.refuse(Refused(408, f"408 Request Timeout: the body did not arrive within {limit:g} seconds"))


class _Request(Request):
    """A request that is admitted or refused before its body is read."""

    channel: _Channel

    has_begun = False

    #: Whether it was refused before its body has arrived; the rest of the body is read, and forgotten.
    is_answered = False

    _admitted: Admitted | None = None
    _refused: Refused | None = None
    _size = 0

    def begin(self, method: bytes, uri: bytes, version: bytes) -> None:
        """Admit the request, or note its refusal."""
        self.has_begun = True
        # What requestReceived sets after the body: the access log needs it.
        self.method, self.uri, self.clientproto = method, uri, version
        head = RequestHead(method.decode("latin-1"), uri, lambda name: header(self, name))
        try:
            self._admitted = self.channel.site.server.admit(head)
        except Refused as refused:
            self._refused = refused
            return
        if self._admitted.is_trusted:
            self.channel.transport.trust()  # type: ignore[union-attr]  # a LimitedConnection

    def gotLength(self, length: int | None) -> None:
        """Refuse now, if the body is not needed; None is for a body in chunks."""
        self.content = BytesIO()
        if self._refused is not None:
            if length != 0:
                self.refuse(self._refused)
        elif length is not None and length > self._most_bytes:
            self.refuse(self._too_large())

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body, or forget it."""
        if self.is_answered:
            return
        self._size += len(data)
        if self._size > self._most_bytes:
            self.refuse(self._too_large())
        elif self.channel.site.bodies.take(self, len(data)):
            assert self.content is not None  # noqa: S101  # gotLength has set it
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer the request; its body is complete."""
        self.channel.site.bodies.free(self)
        if self.is_answered:
            self.channel.close()
        else:
            super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]  # as above

    def connectionLost(self, reason: Failure) -> None:
        """Free the memory of the body."""
        self.channel.site.bodies.free(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # as above

    def respond(self) -> bytes | int:
        """Return the answer to a complete request."""
        try:
            if self._refused is not None:
                raise self._refused
            assert self._admitted is not None  # noqa: S101  # or it is refused
            assert isinstance(self.content, BytesIO)  # noqa: S101  # gotLength has set it
            answer = self.channel.site.server.answer(self._admitted, self, self.content.getvalue())
        except Refused as refused:
            self.setResponseCode(refused.status)
            for name, value in _headers(refused).items():
                self.setHeader(name, value)  # type: ignore[no-untyped-call]  # as above
            return _body(refused)
        if isinstance(answer, bytes):
            self.setHeader(b"Content-Type", _TEXT)  # type: ignore[no-untyped-call]  # as above
        return answer

    def refuse(self, refused: Refused) -> None:
        """Answer before the body has arrived, and close the connection after it or after a moment.

        If the connection was closed at once, the client might not get the answer: the kernel resets a connection that is
        closed while data has not been read.
        """
        self.is_answered = True
        self.channel.site.bodies.free(self)
        self.content = BytesIO()
        # Otherwise Twisted would ask for the body.
        self.requestHeaders.removeHeader(b"Expect")
        body = _body(refused)
        self.setResponseCode(refused.status)
        self.sentLength = len(body)
        answer = early_answer(refused.status, _headers(refused), body, is_head=self.method == b"HEAD")
        self.channel.write(answer)  # type: ignore[no-untyped-call]  # as above
        self.channel.site.log(self)
        self.channel.setTimeout(self.channel.site.limits.linger)  # type: ignore[no-untyped-call]  # as above

    @property
    def _most_bytes(self) -> int:
        return 0 if self._admitted is None else self._admitted.most_bytes

    def _too_large(self) -> Refused:
        return Refused(413, f"413 Content Too Large: at most {self._most_bytes} bytes")


def _headers(refused: Refused) -> Mapping[str, str]:
    challenge = {"WWW-Authenticate": 'Basic realm="hookbot"'} if refused.status == 401 else {}  # noqa: PLR2004  # RFC 9110
    return {**refused.headers, **challenge, "Content-Type": _TEXT}


def _body(refused: Refused) -> bytes:
    return f"{refused}\n".encode("utf-8", "backslashreplace")


class _Bodies:
    """Limits the memory of all bodies that are being received: the request that began first is refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: dict[_Request, int] = {}
        self._total = 0

    def take(self, request: _Request, size: int) -> bool:
        """Count ``size`` more bytes for a request; return False if the request itself was refused."""
        self._sizes[request] = self._sizes.get(request, 0) + size
        self._total += size
        while self._total > self._most:
            oldest = next(iter(self._sizes))
            oldest.refuse(Refused(503, "503 Service Unavailable: too many requests are being received"))
        return not request.is_answered

    def free(self, request: _Request) -> None:
        """Count the bytes of a request no longer."""
        self._total -= self._sizes.pop(request, 0)


class _Root(Resource):
    """Answers the requests for all paths."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def render(self, request: _Request) -> bytes | int:
        """Answer a request."""
        return request.respond()


class HookbotSite(Site):
    """The HTTP server before ``server``; ``now`` returns the time of day, in seconds since 1970."""

    requestFactory = _Request  # noqa: N815  # Site's name for it
    noisy = False

    def __init__(self, clock: IReactorTime, server: Answers, limits: ServerLimits, now: Callable[[], float]) -> None:
        @provider(IAccessLogFormatter)
        def line(_timestamp: str, request: Any) -> str:
            # Not Twisted's timestamp, which is the reactor's time: that is monotonic, and starts when the host starts.
            text: str = combinedLogFormatter(datetimeToLogString(now()), request)
            return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"

        super().__init__(  # type: ignore[no-untyped-call]  # as above
            _Root(),  # type: ignore[no-untyped-call]  # as above
            timeout=limits.head_timeout,
            logFormatter=line,
            reactor=clock,
            parsePOSTFormSubmission=False,
        )
        # Not Twisted's, which also makes channels for HTTP/2: these read the whole body first.
        self.protocol = _Channel  # type: ignore[assignment]  # it is only called
        self.server = server
        self.limits = limits
        self.bodies = _Bodies(limits.bodies)

    def acceptableProtocols(self) -> list[bytes]:
        """Return what the server offers with TLS."""
        return [b"http/1.1"]
