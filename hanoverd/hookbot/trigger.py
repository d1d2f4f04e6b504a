"""Triggers handovers or builds at messages from hookbot, and at messages that were missed."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.hookbot.listener import Connect, Listener
from hanoverd.hookbot.protocol import read_message
from hanoverd.images import Source
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.tasks import Tasks
from hanoverd.spec.hookbot import Subscription

log = Logger()

#: The delays between two requests to a source that does not answer.
BACKOFF = Backoff(first=5.0, longest=300.0)


class TriggerTarget(Protocol):
    """Starts handovers of an app, or builds."""

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Start one with ``revision`` (a commit), or with the newest revision."""

    def newest_found(self, newest: str) -> None:
        """Start one with the source's ``newest`` revision, unless that was obtained or is being obtained."""


class HookbotTrigger:
    """Triggers ``target`` at each message of ``subscription``; ``connect`` opens a connection to hookbot."""

    def __init__(
        self, clock: IReactorTime, subscription: Subscription, connect: Connect, source: Source, target: TriggerTarget
    ) -> None:
        self._clock = clock
        self._subscription = subscription
        self._source = source
        self._target = target
        self._listener = Listener(clock, str(subscription.url), connect, self._message, self._connected)
        self._catching_up = Tasks()
        self._had_a_push = False

    def start(self) -> None:
        """Connect, and trigger from now on."""
        self._listener.start()

    async def stop(self) -> None:
        """Disconnect; fires when the connection is closed."""
        await self._listener.stop()
        await self._catching_up.stop()

    def _message(self, message: bytes) -> None:
        revision, reason = read_message(self._subscription, message)
        # A revision that the source names now may be older than this message.
        self._catching_up.cancel()
        self._had_a_push = True
        self._target.trigger(reason, revision)

    def _connected(self) -> None:
        # hookbot does not replay messages: ask the source whether one was missed.
        self._catching_up.cancel()
        if self._subscription.is_of_all_branches and self._had_a_push:
            # The source knows the head of the default branch only, and the last push may have been to another branch.
            log.info(
                "hookbot: pushes during the time without a connection are unknown ({source})",
                event="hookbot_missed",
                source=self._source.describe(),
            )
            return
        self._catching_up.start(self._catch_up())

    async def _catch_up(self) -> None:
        newest = await retry(
            self._clock, BACKOFF, self._source.newest, on=HanoverdError, before_sleep=self._newest_is_unknown
        )
        if newest is not None:
            self._target.newest_found(newest)

    def _newest_is_unknown(self, error: HanoverdError, _delay: float) -> None:
        log.warn(
            "hookbot: cannot check whether a message was missed ({source}): {error}",
            event="hookbot_check_failed",
            source=self._source.describe(),
            error=error,
        )
