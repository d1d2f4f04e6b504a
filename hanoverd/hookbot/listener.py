"""Listens to a hookbot, and reconnects with backoff when the connection is lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.hookbot.flood import NewestMessages, RateLimit
from hanoverd.runtime.backoff import Backoff, Delays
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HookbotError
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.runtime.tasks import Tasks
from hanoverd.text.durations import format_duration

log = Logger()

#: The waits between two attempts to connect, and by which share each of them varies at random.
BACKOFF, JITTER = Backoff(first=1.0, longest=60.0), 0.2

#: How long a connection has to last, in seconds, so that the next wait is the first one again.
STABLE = 10.0

#: How many messages count at once, and how many seconds pass for each further one.
BURST, INTERVAL = 20, 1.0


class Connect(Protocol):
    """Opens a connection; see ``hanoverd.hookbot.websocket.listen``."""

    def __call__(
        self,
        on_open: Callable[[], object],
        on_message: Callable[[bytes], object],
        on_oversize: Callable[[int], object],
        /,
    ) -> Coroutine[Deferred[Any], Any, str]:
        """Connect; return why the connection has ended when it has."""
        ...


class Listener:
    """Keeps a connection to a hookbot; messages call it ``shown``.

    ``on_message`` takes each message, and raises ValueError for an invalid one; of messages that arrive too fast, it takes
    the newest. ``on_open`` is called for each new
    connection: messages that were published before it are lost.
    """

    def __init__(
        self,
        clock: IReactorTime,
        shown: str,
        connect: Connect,
        on_message: Callable[[bytes], object],
        on_open: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._shown = shown
        self._connect = connect
        self._on_message = on_message
        self._messages = NewestMessages(clock, BURST, INTERVAL, self._take, self._skipped)
        self._reports = RateLimit(BURST, BURST * INTERVAL)
        self._opened_at: float | None = None
        self._on_open = on_open
        self._running = Tasks()
        self._delays = Delays(BACKOFF)
        self._report = ReportOnce(self._disconnected)

    def start(self) -> None:
        """Connect, and reconnect from now on."""
        self._running.start(self._run())

    async def stop(self) -> None:
        """Drop the connection; fires when it is closed."""
        await self._running.stop()
        self._messages.stop()

    async def _run(self) -> None:
        while True:
            self._opened_at = None
            try:
                reason = await self._connect(self._opened, self._messages.add, self._oversized)
            except HookbotError as error:
                reason = str(error)
            self._report(reason)
            # Not when it opens: a server that closes each connection must not be asked, nor the source, all the time.
            if self._opened_at is not None and self._clock.seconds() - self._opened_at >= STABLE:
                self._delays.reset()
            delay = self._delays.next() * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
            await sleep(self._clock, delay)

    def _opened(self) -> None:
        self._opened_at = self._clock.seconds()
        self._report.reset()
        log.info("hookbot: connected to {url}", event="hookbot_connected", url=self._shown)
        self._on_open()

    def _take(self, message: bytes) -> None:
        try:
            self._on_message(message)
        except ValueError as error:
            log.error(
                "hookbot: message from {url} dropped: {error}",
                event="hookbot_message_dropped",
                url=self._shown,
                error=error,
            )

    def _skipped(self, count: int) -> None:
        log.warn(
            "hookbot: {count} messages from {url} skipped: they arrived too fast, and the newest counts",
            event="hookbot_messages_skipped",
            count=count,
            url=self._shown,
        )

    def _oversized(self, size: int) -> None:
        if not self._reports.allows(self._clock.seconds()):
            return
        log.error(
            "hookbot: message from {url} dropped: it is too large ({size} bytes)",
            event="hookbot_message_dropped",
            size=size,
            url=self._shown,
        )

    def _disconnected(self, reason: str) -> None:
        log.warn(
            "hookbot: no connection to {url}: {reason}; retrying at least every {most}",
            event="hookbot_lost",
            url=self._shown,
            reason=reason,
            most=format_duration(BACKOFF.longest),
        )
