"""HTTP on the control socket, with limits: who may connect, how many, how much they send, and how long that takes.

The limits hold for this user and root, too: a script that goes wrong must not keep others from the socket.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from hanoverd.api.control_socket import is_allowed
from hanoverd.runtime.refusal import early_answer

#: The largest body of a request, in bytes.
MOST_BYTES = 64 * 1024

#: How many connections there are at most; and how many of users who may not connect, until they are closed.
MOST_CONNECTIONS, MOST_REFUSED = 100, 20

#: The time limits, in seconds: for a whole request, however many bytes arrive meanwhile; for the client to read the rest of the
#: answer, when it asked to close the connection after it; and until a connection that was refused is closed.
REQUEST_TIMEOUT, ANSWER_TIMEOUT, REFUSED_TIMEOUT = 15.0, 600.0, 2.0


class ControlRequest(Request):
    """A request whose body is limited, and kept in memory."""

    #: Every answer with a body says its type.
    defaultContentType = None  # noqa: N815  # Request's name for it

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that is too large before it is read; ``length`` is None if it is not known yet."""
        self._body = self.content = BytesIO()
        if length is not None and length > MOST_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body."""
        if self._body.tell() + len(data) <= MOST_BYTES:
            self._body.write(data)
        else:
            self._refuse()

    def _refuse(self) -> None:
        channel: Any = self.channel
        channel.refuse(413, f"the request body is larger than {MOST_BYTES // 1024} KiB")
        channel.loseConnection()


class ControlChannel(HTTPChannel):
    """A connection to the control socket."""

    site: ControlSite
    transport: Any  # it has more than ITransport

    _is_refused = False
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Accept the connection, or refuse it."""
        if not self.is_welcome():
            self._is_refused = True
            self.site.refused.add(self)
            if len(self.site.refused) > MOST_REFUSED:
                self.transport.abortConnection()
                return
            self.refuse(403, "this hanoverd belongs to another user: run this command as that user or as root")
            # What it sends is not read; a close at once would make its sending fail before it reads the answer.
            self.transport.pauseProducing()
            self._limit_time(REFUSED_TIMEOUT)
        elif self.site.makes_room():
            self.site.idle[self] = None
            super().connectionMade()  # type: ignore[no-untyped-call]  # Twisted's
            self._limit_time(REQUEST_TIMEOUT)
        else:
            self._is_refused = True
            self.transport.abortConnection()

    def is_welcome(self) -> bool:
        """Return whether the client may connect."""
        return is_allowed(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Take a part of a request."""
        if not self._is_refused:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's

    def allContentReceived(self) -> None:
        """Answer a request, which is complete."""
        if self._is_refused:
            return
        self._limit_time(None)
        self.site.idle.pop(self, None)
        self.site.busy.add(self)
        super().allContentReceived()  # type: ignore[no-untyped-call]  # Twisted's

    def requestDone(self, request: Request) -> None:
        """Wait for the next request, or until the client has read the answer."""
        self.site.busy.discard(self)
        self.site.idle[self] = None
        self._limit_time(self.site.idle_timeout if self.persistent else ANSWER_TIMEOUT)
        super().requestDone(request)  # type: ignore[no-untyped-call]  # Twisted's

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the answer that is being sent, if there is one."""
        self._limit_time(None)
        self.site.forget(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's

    def refuse(self, status: int, message: str) -> None:
        """Send an answer without reading the request, and read nothing more."""
        self._is_refused = True
        body = json.dumps({"error": message}).encode() + b"\n"
        self.transport.write(early_answer(status, {"Content-Type": "application/json"}, body))

    def _limit_time(self, seconds: float | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self.site.reactor.callLater(seconds, self.transport.abortConnection)


class ControlSite(Site):
    """Answers requests with ``resource``, on at most ``most_connections`` connections.

    ``idle_timeout`` is how long a connection may wait for its next request, in seconds.
    """

    protocol = ControlChannel  # type: ignore[assignment]  # Twisted's own is a wrapper of HTTPChannel
    noisy = False
    most_connections = MOST_CONNECTIONS
    idle_timeout = REQUEST_TIMEOUT
    #: Whether bodies of the type of forms are read as forms.
    has_forms = False

    def __init__(self, resource: IResource) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # Twisted's
            resource,
            ControlRequest,
            # It has time limits of its own.
            timeout=None,
            # The body of a command is JSON, whatever its type: ``curl --data`` says that it is a form.
            parsePOSTFormSubmission=self.has_forms,
        )
        #: The connections without a request in progress, the oldest first; the ones with one; and the refused ones.
        self.idle: dict[ControlChannel, None] = {}
        self.busy: set[ControlChannel] = set()
        self.refused: set[ControlChannel] = set()

    def makes_room(self) -> bool:
        """Return whether there is room for a new connection; an old one without a request in progress is closed for it."""
        if len(self.idle) + len(self.busy) < self.most_connections:
            return True
        oldest = next(iter(self.idle), None)
        if oldest is None:
            return False
        del self.idle[oldest]
        oldest.transport.abortConnection()
        return True

    def forget(self, channel: ControlChannel) -> None:
        """Count a connection no longer."""
        self.idle.pop(channel, None)
        self.busy.discard(channel)
        self.refused.discard(channel)

    def logPrefix(self) -> str:
        """Return its name for Twisted's log."""
        return "control"

    def log(self, request: object) -> None:
        """Do not log requests."""
