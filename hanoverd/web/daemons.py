"""Asks one running daemon, without blocking, with limits of size and time.

Whatever a daemon does, it takes neither memory nor time from others: one that hangs, or one that sends without end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from hanoverd import __version__
from hanoverd.api.questions import PAGE_AGENT
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.limited_reads import HEADERS_ONLY, LONGEST_REASON, innermost
from hanoverd.text.lines import shortened
from hanoverd.web.checked_connection import AdoptingReactor, CheckedConnection, Connect

#: How long a daemon may take for the head of an answer, and again for its body, in seconds.
ANSWER_TIMEOUT = 10.0

#: The largest answer, in bytes: the history has 8 MiB at most.
MOST_BYTES = 10 * 1024 * 1024

#: How much of a stream is read in a second, in bytes; the daemon holds the rest back, or leaves it out.
MOST_PER_SECOND = 4 * 1024 * 1024

#: How much of an error message of a daemon is shown, in characters.
_LONGEST_ERROR = 1000

_OK, _URL = 200, "http://hanoverd"


class DaemonRefused(ControlError):
    """A daemon has answered with an error: ``status`` is that of its answer, the text its message."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class DaemonClient:
    """The daemon of ``app``; ``connect`` connects to its socket.

    All methods fail with ``ControlError``, with ``DaemonRefused`` for an answer that is an error.  Cancel closes the connection.
    """

    def __init__(self, reactor: AdoptingReactor, app: str, connect: Connect) -> None:
        self.app = app
        self._reactor = reactor
        self._connect = connect

    async def get(self, resource: str, most: int = MOST_BYTES) -> bytes:
        """Return the answer to a GET request, which may have ``most`` bytes."""
        return await self._ask(b"GET", resource, None, most)

    async def get_json(self, resource: str, most: int = MOST_BYTES) -> Any:
        """Return the JSON value that a GET request is answered with."""
        return self._parsed(await self.get(resource, most))

    async def post(self, resource: str, body: Mapping[str, object]) -> Any:
        """Return the JSON value that a POST request is answered with."""
        return self._parsed(await self._ask(b"POST", resource, json.dumps(body).encode(), MOST_BYTES))

    async def follow(self, resource: str, reader: StreamReader, headers: Mapping[str, str] | None = None) -> None:
        """Pass an answer on to ``reader`` as it comes; fires when it has ended, and ends by cancel."""
        connection = CheckedConnection(self._reactor, self._connect, HEADERS_ONLY)
        response = await self._response(connection, b"GET", resource, None, headers or {})
        connection.left = None
        body = _Body(connection, reader.receive)
        limit = _RateLimit(self._reactor, body)
        body.on_data = limit.count
        reader.attach(body)
        response.deliverBody(body)
        try:
            await settled(body.ended)
        finally:
            limit.stop()

    async def _ask(self, method: bytes, resource: str, content: bytes | None, most: int) -> bytes:
        connection = CheckedConnection(self._reactor, self._connect, most)
        return await self._read(await self._response(connection, method, resource, content, {}), connection)

    async def _response(
        self,
        connection: CheckedConnection,
        method: bytes,
        resource: str,
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> IResponse:
        """Return the head of an answer whose status is 200."""
        agent = Agent.usingEndpointFactory(self._reactor, connection)
        sent = {"User-Agent": f"{PAGE_AGENT.decode()}{__version__}", **headers}
        producer = None if content is None else FileBodyProducer(BytesIO(content))
        asking = agent.request(
            method, f"{_URL}{resource}".encode(), Headers({name: [value] for name, value in sent.items()}), producer
        )
        try:
            response: IResponse = await self._timely(asking)
        except CancelledError:
            connection.drop()
            raise
        except Exception as error:  # noqa: BLE001  # there is no answer, whatever the HTTP client's error
            connection.drop()
            raise self._explained(error, connection) from None
        if response.code != _OK:
            text = await self._read(response, connection)
            raise DaemonRefused(response.code, f"{self.app}: {_message(response.code, text)}")
        return response

    async def _read(self, response: IResponse, connection: CheckedConnection) -> bytes:
        found: list[bytes] = []
        body = _Body(connection, found.append)
        response.deliverBody(body)
        try:
            await self._timely(body.ended)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            raise self._explained(error, connection) from None
        if body.is_cut or connection.is_exceeded:
            raise self._explained(ConnectionError("the connection was lost in the middle of its answer"), connection)
        return b"".join(found)

    async def _timely(self, work: Deferred[Any]) -> Any:
        return await within(self._reactor, ANSWER_TIMEOUT, Deferred.fromCoroutine(settled(work)))

    def _parsed(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._no_answer("its answer is not valid JSON") from None

    def _explained(self, error: Exception, connection: CheckedConnection) -> ControlError:
        if connection.is_exceeded:
            return self._no_answer("its answer is too large")
        if isinstance(error, TimedOut):
            return self._no_answer(f"it took longer than {ANSWER_TIMEOUT:.0f} seconds")
        cause = innermost(error)
        if isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
            return ControlError(not_running(self.app))
        if isinstance(cause, PermissionError):
            return self._no_answer("it belongs to another user: run `hanoverd web` as that user or as root")
        if isinstance(cause, BlockingIOError):
            return self._no_answer("too many clients wait for it already")
        return self._no_answer(shortened(str(cause).strip(". ") or type(cause).__name__, LONGEST_REASON))

    def _no_answer(self, why: str) -> ControlError:
        return ControlError(f"the hanoverd that serves {self.app} does not answer: {why}")


class StreamReader:
    """Takes the parts of a stream.  A base class: it ignores them."""

    _body: _Body | None = None

    def attach(self, body: _Body) -> None:
        """Start: ``pause`` and ``resume`` act on the stream from now on."""
        self._body = body

    def receive(self, data: bytes) -> None:
        """Take the next part."""

    def pause(self) -> None:
        """Read no more for now."""
        if self._body is not None:
            self._body.hold(self)

    def resume(self) -> None:
        """Read on."""
        if self._body is not None:
            self._body.release(self)


class _Body(Protocol):
    """Receives the body of an answer.  Those who ``hold`` it keep it from being read."""

    def __init__(self, connection: CheckedConnection, receive: Callable[[bytes], object]) -> None:
        self._connection = connection
        self._receive = receive
        self._holders: set[object] = set()
        self.on_data: Callable[[int], object] = lambda _: None
        #: Fires at the end of the body; cancel ends the connection.
        self.ended: Deferred[None] = Deferred(lambda _: connection.drop())
        #: Whether it was not complete.
        self.is_cut = False

    def dataReceived(self, data: bytes) -> None:
        """Pass a part on."""
        self._receive(data)
        self.on_data(len(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Finish: the body has ended, or the connection was lost."""
        # Without a length, the end of the connection is the end of the body.
        self.is_cut = reason.check(ResponseDone, PotentialDataLoss) is None
        if not self.ended.called:
            self.ended.callback(None)

    def hold(self, holder: object) -> None:
        """Read no more until ``holder`` releases it."""
        if not self._holders and self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]  # a TransportProxyProducer
        self._holders.add(holder)

    def release(self, holder: object) -> None:
        """Read on, unless there is another holder."""
        if holder in self._holders:
            self._holders.discard(holder)
            if not self._holders and self.transport is not None:
                self.transport.resumeProducing()  # type: ignore[attr-defined]  # as above


class _RateLimit:
    """Holds a body for the rest of a second in which too much of it has come."""

    def __init__(self, reactor: AdoptingReactor, body: _Body) -> None:
        self._reactor = reactor
        self._body = body
        self._since = 0.0
        self._count = 0
        self._timer: Any = None

    def count(self, size: int) -> None:
        """Count what has come."""
        now = self._reactor.seconds()
        if now - self._since >= 1:
            self._since, self._count = now, 0
        self._count += size
        if self._count > MOST_PER_SECOND and self._timer is None:
            self._body.hold(self)
            self._timer = self._reactor.callLater(1, self._release)

    def stop(self) -> None:
        """Leave no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        self._timer = None
        self._body.release(self)


def not_running(app: str) -> str:
    """Return the message about an app whose daemon has gone."""
    return (
        f"no hanoverd serves {app} now: it has stopped, or was killed. `hanoverd list` shows whether the app serves on"
    )


def _message(status: int, text: bytes) -> str:
    """Return the message of an error of a daemon."""
    try:
        found = str(json.loads(text)["error"])
    except (ValueError, RecursionError, KeyError, TypeError):
        found = f"HTTP status {status}"
    return shortened(found, _LONGEST_ERROR)
