"""Turns what hookbot says, and what it may have said while nobody listened, into triggers."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.hookbot.listener import Connect, Listener
from hanoverd.images import Source
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.polling import growing, pause
from hanoverd.runtime.tasks import Tasks
from hanoverd.spec.hookbot import Subscription

log = Logger()

#: Between two questions to a source that does not answer: the first wait and the longest, in seconds.
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0


class Triggers(Protocol):
    """What is triggered: the handovers of an app, or builds."""

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Start one: of ``revision`` (a commit), if one is named, else of the newest."""

    def found(self, newest: str) -> None:
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
        self._asking.go(self._ask())

    async def _ask(self) -> None:
        for wait in growing(FIRST_WAIT, LONGEST_WAIT, 2.0):
            try:
                newest = await self._source.newest()
            except CancelledError:
                raise
            except HanoverdError as error:
                log.warn(
                    "whether a message of hookbot was missed could not be found out ({source}): {error}",
                    event="hookbot_check_failed",
                    source=self._source.describe(),
                    error=error,
                )
                await pause(self._clock, wait)
            else:
                if newest is not None:
                    self._triggers.found(newest)
                return
