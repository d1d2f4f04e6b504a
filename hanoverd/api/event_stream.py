"""The stream of events: server-sent events, for any number of clients that may read slowly, or not at all.

The form is that of the HTML Standard, section 9.2, which browsers and many libraries read.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.server import Request

from hanoverd.logs.event_ring import EventReader

#: How often a comment is sent, in seconds: so each side learns that the other one is gone, also through proxies.
KEEP_ALIVE_INTERVAL = 15.0

#: After how many milliseconds a browser connects again.
RETRY = 1000

#: The type of the content.
EVENT_STREAM = "text/event-stream; charset=utf-8"

#: What clients skip.
COMMENT = b":\n\n"


class EventStream:
    """Sends events as fast as the client reads them.  What waits for it stays in the ring, whose size is limited."""

    def __init__(self, request: Request, clock: IReactorTime, reader: EventReader) -> None:
        self._request = request
        self._reader = reader
        self._is_full = False
        self._keep_alive = LoopingCall(self._comment)
        self._keep_alive.clock = clock
        request.setHeader("Content-Type", EVENT_STREAM)
        request.setHeader("Cache-Control", "no-store")
        request.registerProducer(self, True)  # noqa: FBT003  # Twisted's: it pushes
        # An ID without data is no event, but the client can already resume from it.
        request.write(f"retry: {RETRY}\nid: {reader.position}\n\n".encode())
        self._write()

    async def follow(self, followers: set[Callable[[bool], object]]) -> None:
        """Send all events as they come.  It ends by being cancelled."""
        followers.add(self._on_event)
        self._keep_alive.start(KEEP_ALIVE_INTERVAL, now=False)
        never: Deferred[None] = Deferred()
        try:
            await never
        finally:
            self._keep_alive.stop()
            followers.discard(self._on_event)

    def pauseProducing(self) -> None:
        """Hold events back: the connection is full."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """Send what has happened meanwhile."""
        self._is_full = False
        self._write()

    def stopProducing(self) -> None:
        """The connection has ended."""
        self._is_full = True

    def _on_event(self, is_output: bool) -> None:  # noqa: FBT001  # it is called with this alone
        if self._reader.wants_output or not is_output:
            self._write()

    def _write(self) -> None:
        while not self._is_full and (event := self._reader.next()) is not None:
            self._request.write(event.block)

    def _comment(self) -> None:
        if not self._is_full:
            self._request.write(COMMENT)
