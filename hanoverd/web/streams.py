"""Streams of server-sent events for browsers, which may read slowly, or not at all (HTML Standard, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.server import Request

from hanoverd.api.event_stream import COMMENT, EVENT_STREAM, KEEP_ALIVE_INTERVAL, RETRY
from hanoverd.text.escapes import escaped_output
from hanoverd.web.daemons import StreamReader
from hanoverd.web.event_lines import Lines

#: For how many seconds changes of an app are collected before a browser learns of them.
DEBOUNCE = 0.2


class BrowserStream(StreamReader):
    """A stream to a browser; ``is_allowed`` is asked again from time to time, and the stream ends when it returns False.

    ``ended`` fires when it should end; cancel ends it.
    """

    def __init__(self, request: Request, clock: IReactorTime, is_allowed: Callable[[], bool]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._request = request
        self._is_allowed = is_allowed
        self._is_full = False
        self._keep_alive = LoopingCall(self._check)
        self._keep_alive.clock = clock

    def open(self) -> None:
        """Send the beginning."""
        self._request.setHeader("Content-Type", EVENT_STREAM)
        # Some reverse proxies collect answers otherwise (nginx, "proxy_buffering").
        self._request.setHeader("X-Accel-Buffering", "no")
        self._request.registerProducer(self, True)  # noqa: FBT003  # Twisted's: it pushes
        self._request.write(f"retry: {RETRY}\n\n".encode())
        self._keep_alive.start(KEEP_ALIVE_INTERVAL, now=False)

    async def wait(self) -> None:
        """Wait until it should end."""
        await self.ended

    def close(self) -> None:
        """Leave no timer."""
        if self._keep_alive.running:
            self._keep_alive.stop()
        # It has no channel when the browser has disconnected.
        if self._request.channel is not None:
            self._request.unregisterProducer()

    def pauseProducing(self) -> None:
        """Send nothing for now: the connection is full."""
        self._is_full = True
        self.pause()

    def resumeProducing(self) -> None:
        """Send what has come meanwhile."""
        self._is_full = False
        self.resume()

    def stopProducing(self) -> None:
        """The connection has ended."""
        self._is_full = True

    def _check(self) -> None:
        if not self._is_allowed():
            if not self.ended.called:
                self.ended.callback(None)
        elif not self._is_full:
            self._request.write(COMMENT)


class LiveStream(BrowserStream):
    """Says which apps have changed.  What a slow browser has not read takes no more memory than the names of the apps."""

    def __init__(self, request: Request, clock: IReactorTime, is_allowed: Callable[[], bool]) -> None:
        super().__init__(request, clock, is_allowed)
        self._clock = clock
        self._changed: dict[str, None] = {}
        self._timer: IDelayedCall | None = None

    def changed(self, app: str) -> None:
        """Note that an app has changed; "" stands for the list of apps."""
        self._changed[app] = None
        if self._timer is None:
            self._timer = self._clock.callLater(DEBOUNCE, self._send)

    def close(self) -> None:
        """Leave no timer."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resumeProducing(self) -> None:
        """Send what has changed meanwhile."""
        super().resumeProducing()
        if self._timer is None:
            self._send()

    def _send(self) -> None:
        self._timer = None
        while self._changed and not self._is_full:
            app = next(iter(self._changed))
            del self._changed[app]
            self._request.write(f"event: changed\ndata: {json.dumps({'app': app})}\n\n".encode())


class LogStream(BrowserStream):
    """Passes the lines of an app's log on; the daemon waits for a browser that is slow, and leaves lines out for it."""

    def __init__(self, request: Request, clock: IReactorTime, is_allowed: Callable[[], bool]) -> None:
        super().__init__(request, clock, is_allowed)
        self._lines = Lines()

    def open(self) -> None:
        """Send the beginning: all lines follow, also those that a browser has from before."""
        super().open()
        self._request.write(b"event: start\ndata:\n\n")

    def receive(self, data: bytes) -> None:
        """Pass the lines on that ``data`` completes."""
        found = [line.decode("utf-8", "replace") for line in self._lines.take(data)]
        events = "".join(f"data: {escaped_output(line, colour=False)}\n\n" for line in found)
        if events:
            self._request.write(events.encode("utf-8", "replace"))
