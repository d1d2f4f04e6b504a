"""Listens to a hookbot for as long as the daemon runs, whatever becomes of the connection."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.runtime.errors import HookbotError
from hanoverd.runtime.polling import growing, pause
from hanoverd.runtime.tasks import Tasks
from hanoverd.text.durations import format_duration

log = Logger()

#: Between two connections: the first wait, the longest, in seconds, and by how much either may vary (0.2: a fifth).
FIRST_WAIT, LONGEST_WAIT, JITTER = 1.0, 60.0, 0.2


class Connect(Protocol):
    """Makes one connection; see ``hanoverd.hookbot.websocket.listen``."""

    def __call__(
        self,
        on_open: Callable[[], object],
        on_message: Callable[[bytes], object],
        on_oversize: Callable[[int], object],
        /,
    ) -> Coroutine[Deferred[Any], Any, str]:
        """Connect, and end when the connection does."""
        ...


class Listener:
    """Keeps a connection to the hookbot ``shown``.

    ``on_message`` takes each message, and may raise ValueError for one that is not what it should be; ``on_open`` is
    called whenever the connection is there (again): what was published meanwhile was missed.
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
        self._on_open = on_open
        self._running = Tasks()
        self._waits = growing(FIRST_WAIT, LONGEST_WAIT, 2.0)
        self._told = ""

    def start(self) -> None:
        """Connect, and connect again, from now on."""
        self._running.go(self._run())

    async def stop(self) -> None:
        """Drop the connection; fires when it is gone."""
        await self._running.stop()

    async def _run(self) -> None:
        while True:
            try:
                ended = await self._connect(self._opened, self._take, self._oversized)
            except HookbotError as error:
                self._tell(str(error))
            else:
                self._tell(ended)
            wait = next(self._waits) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
            await pause(self._clock, wait)

    def _opened(self) -> None:
        # Only now: a host that takes connections, and no more, is to be asked more and more seldom.
        self._waits = growing(FIRST_WAIT, LONGEST_WAIT, 2.0)
        self._told = ""
        log.info("listening to hookbot at {url}", event="hookbot_connected", url=self._shown)
        self._on_open()

    def _take(self, message: bytes) -> None:
        try:
            self._on_message(message)
        except ValueError as error:
            log.error(
                "a message from hookbot at {url} was dropped: {error}",
                event="hookbot_message_dropped",
                url=self._shown,
                error=error,
            )

    def _oversized(self, size: int) -> None:
        log.error(
            "a message of {size} bytes from hookbot at {url} was dropped: it is too large",
            event="hookbot_message_dropped",
            size=size,
            url=self._shown,
        )

    def _tell(self, reason: str) -> None:
        """Each reason once, until the connection was there again."""
        if reason != self._told:
            log.warn(
                "no connection to hookbot at {url}: {reason}. Trying again, at least every {most}; handovers go on by "
                "SIGHUP meanwhile",
                event="hookbot_lost",
                url=self._shown,
                reason=reason,
                most=format_duration(LONGEST_WAIT),
            )
        self._told = reason
