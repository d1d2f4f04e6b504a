"""The websockets that listen to the server's topics, and the messages that wait for them."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.server import Request

from hanoverd.hookbot.admission import UNSAFE
from hanoverd.hookbot.limits import ServerLimits, ServerTimeouts
from hanoverd.hookbot.websocket import Connection, serve_websockets

log = Logger()


class Subscribers:
    """Sends messages to the listeners of their topics, and drops listeners that are too slow or send too much."""

    def __init__(self, clock: IReactorTime, limits: ServerLimits, timeouts: ServerTimeouts) -> None:
        self._clock = clock
        self._limits = limits
        self._of_topic: dict[str, set[Connection]] = {}
        #: The listeners that have not received the last message, and when they are dropped; the slowest is the first.
        self._behind: dict[Connection, IDelayedCall] = {}
        self._websockets, self._prepare = serve_websockets(
            clock, self._opened, self._closed, self._flooding, timeouts, (limits.frames, limits.frames_period)
        )

    @property
    def topics(self) -> list[str]:
        """The topics that have listeners."""
        return list(self._of_topic)

    def of(self, topic: str) -> set[Connection]:
        """Return the listeners of a topic."""
        return set(self._of_topic.get(topic, ()))

    def answer(self, request: Request) -> bytes | int:
        """Answer the request for a subscription, which becomes a websocket."""
        # The request was admitted: the origin was checked, and the original hookbot's programs send an invalid one.
        request.requestHeaders.removeHeader(b"Origin")
        answered: bytes | int = self._websockets.render(request)
        return answered

    def send(self, topic: str, body: bytes) -> None:
        """Send a message to all listeners of its topic, and of the topics above it that end with a slash."""
        if not topic.endswith("/"):
            self._send(topic, body)
        recursive = None
        for end in (number for number, char in enumerate(topic) if char == "/"):
            above = topic[: end + 1]
            if above in self._of_topic:
                recursive = recursive or topic.encode("utf-8", "surrogateescape") + b"\0" + body
                self._send(above, recursive)

    def drop_all(self) -> None:
        """Drop all listeners, at the end of the server."""
        for topic in self.topics:
            for connection in self.of(topic):
                connection.drop()
        for timer in self._behind.values():
            timer.cancel()
        self._behind.clear()

    def _send(self, topic: str, body: bytes) -> None:
        listeners = self.of(topic)
        if not listeners:
            return
        message = self._prepare(body)
        for connection in listeners:
            connection.send(message)
            if connection.is_behind:
                self._limit(connection)
        self._limit_all()

    def _limit(self, connection: Connection) -> None:
        """Drop a listener that is too slow, now or later: it connects again, and knows that it may have missed messages."""
        count, size = len(connection.waiting), connection.waiting_bytes
        if count > self._limits.waiting or size > self._limits.waiting_bytes:
            self._drop(connection, f"{count} messages ({size} bytes) wait for it")
        elif connection not in self._behind:
            self._behind[connection] = self._clock.callLater(
                self._limits.send_timeout, self._drop_if_behind, connection
            )

    def _limit_all(self) -> None:
        """Drop the listeners that have been slow for the longest time, until little enough waits for the others."""
        unsent = {connection: connection.unsent for connection in self._behind if connection.is_behind}
        total = sum(unsent.values())
        for connection, size in unsent.items():
            if total <= self._limits.unsent:
                return
            total -= size
            self._drop(connection, f"{self._limits.unsent} bytes wait for slow listeners, and it is the slowest")

    def _drop_if_behind(self, connection: Connection) -> None:
        del self._behind[connection]
        if connection.is_behind:
            self._drop(connection, f"it has not received a message within {self._limits.send_timeout:g} seconds")

    def _drop(self, connection: Connection, reason: str) -> None:
        log.warn(
            "hookbot: dropped the listener {peer}: {reason}",
            event="listener_dropped",
            peer=connection.peer,
            reason=reason,
        )
        connection.forget()
        connection.drop()

    def _flooding(self, connection: Connection) -> None:
        self._drop(connection, "it sends too many frames")

    def _opened(self, connection: Connection) -> None:
        self._of_topic.setdefault(_topic(connection), set()).add(connection)

    def _closed(self, connection: Connection) -> None:
        if not hasattr(connection, "path"):
            return  # The websocket was not opened.
        topic = _topic(connection)
        listeners = self._of_topic.get(topic, set())
        listeners.discard(connection)
        if not listeners:
            self._of_topic.pop(topic, None)
        timer = self._behind.pop(connection, None)
        if timer is not None and timer.active():
            timer.cancel()


def _topic(connection: Connection) -> str:
    path: str = connection.path
    unsafe, _, topic = path.partition("/sub/")
    return (UNSAFE if unsafe else "") + topic
