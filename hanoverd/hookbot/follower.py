"""Turns what hookbot says, and what it may have said while nobody listened, into triggers."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.hookbot.listener import Connect, Listener
from hanoverd.images import Source
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.tasks import Tasks
from hanoverd.spec.hookbot import Subscription

log = Logger()

#: The waits between two questions to a source that does not answer.
BACKOFF = Backoff(first=5.0, longest=300.0)


class Triggers(Protocol):
    """What is triggered: the handovers of an app, or builds."""

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Start one: of ``revision`` (a commit), if one is named, else of the newest."""

    def newest_found(self, newest: str) -> None:
        """The source has ``newest``: start one, unless that was obtained, or is being obtained."""


class Follower:
    """Listens to ``subscription`` by connections that ``connect`` makes, and triggers."""

    def __init__(
        self, clock: IReactorTime, subscription: Subscription, connect: Connect, source: Source, triggers: Triggers
    ) -> None:
        self._clock = clock
        self._subscription = subscription
        self._source = source
        self._triggers = triggers
        self._listener = Listener(clock, str(subscription.url), connect, self._message, self._connected)
        self._asking = Tasks()
        self._has_followed_a_push = False

    def start(self) -> None:
        """Listen from now on."""
        self._listener.start()

    async def stop(self) -> None:
        """Fires when the connection is gone."""
        await self._listener.stop()
        await self._asking.stop()

    def _message(self, message: bytes) -> None:
        revision, reason = self._subscription.read(message)
        # What the source says now, it says after this message.
        self._asking.cancel()
        self._has_followed_a_push = True
        self._triggers.trigger(reason, revision)

    def _connected(self) -> None:
        # There is no replay: what was published while nobody listened has to be found out at the source.
        self._asking.cancel()
        if self._subscription.is_of_all_branches and self._has_followed_a_push:
            # The source knows the head of the default branch, and the one that was pushed to last may be another.
            log.info(
                "what was pushed to {source} while hookbot was away is not known",
                event="hookbot_missed",
                source=self._source.describe(),
            )
            return
        self._asking.start(self._ask())

    async def _ask(self) -> None:
        newest = await retry(
            self._clock, BACKOFF, self._source.newest, on=HanoverdError, before_sleep=self._newest_is_unknown
        )
        if newest is not None:
            self._triggers.newest_found(newest)

    def _newest_is_unknown(self, error: HanoverdError, _delay: float) -> None:
        log.warn(
            "whether a message of hookbot was missed could not be found out ({source}): {error}",
            event="hookbot_check_failed",
            source=self._source.describe(),
            error=error,
        )
