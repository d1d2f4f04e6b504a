"""HTTP POST requests, with Twisted's own client; and web hooks, which are such."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import NotifyFailed

#: How long the whole of it may take, in seconds.
WITHIN = 30.0

#: How much of an answer is worth telling, in bytes.
MOST_SAID = 200

_SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Answer:
    """The status, and the beginning of the body."""

    status: int
    said: str


async def post(reactor: Any, agent: IAgent, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """POST ``body``; fires with the answer, whatever it is.

    Fails with ``NotifyFailed`` where there is none.  Cancel breaks it off at once, whatever the server does.
    """
    given = {"User-Agent": f"hanoverd/{__version__}", **headers}
    raw = Headers({name: [value] for name, value in given.items()})
    request = agent.request(b"POST", url.encode(), raw, FileBodyProducer(BytesIO(body)))
    request.addTimeout(WITHIN, reactor)
    try:
        response = await settled(request)
        reading = _Beginning()
        response.deliverBody(reading)
        await settled(reading.ended.addTimeout(WITHIN, reactor))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever an HTTP client may meet means the same
        raise NotifyFailed(str(error) or type(error).__name__) from None
    return Answer(response.code, reading.read.decode(errors="replace").strip())


async def post_event(reactor: Any, url: str, event: bytes) -> None:
    """POST an event, as JSON, to a web hook; fails with ``NotifyFailed`` unless it is taken (status 2xx)."""
    try:
        answer = await post(reactor, Agent(reactor), url, {"Content-Type": "application/json"}, event)
    except NotifyFailed as error:
        raise NotifyFailed(f"cannot notify {shown(url)}: {error}") from None
    if answer.status not in _SUCCESS:
        raise NotifyFailed(f"cannot notify {shown(url)}: HTTP status {answer.status}: {answer.said}")


def shown(url: str) -> str:
    """``url`` for the log: what else is in it is the right to post there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


class _Beginning(Protocol):
    """Keeps the beginning of a body, which is a short message or somebody else's page."""

    def __init__(self) -> None:
        #: Fires at the end of the body; cancel ends the connection.
        self.ended: Deferred[None] = Deferred(lambda _: self._drop())
        self.read = b""

    def _drop(self) -> None:
        # The proxy that a response hands out as its transport offers no abort, and over TLS its loseConnection waits for
        # the server to agree (Twisted's TLSMemoryBIOProtocol).
        connection = getattr(self.transport, "_producer", None)
        if connection is not None:
            connection.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        self.read += data[: MOST_SAID - len(self.read)]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was all, whole or not."""
        del reason
        if not self.ended.called:
            self.ended.callback(None)
