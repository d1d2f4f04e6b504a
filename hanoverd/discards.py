"""Removes the containers of versions that are not to be, and holds on to those that cannot be removed yet."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.cancellation import Outcome
from hanoverd.version import Versions

log = Logger()

#: How long a handover, or the end of the daemon, waits for an engine that does not answer, in seconds.
WAIT = 10.0


class Discards:
    """The removals under way, by the names of their containers."""

    def __init__(self, clock: IReactorTime, versions: Versions) -> None:
        self._clock = clock
        self._versions = versions
        self._removals: dict[str, tuple[Deferred[bool], Outcome[bool]]] = {}

    def discard(self, name: str) -> Deferred[None]:
        """Begin to remove the container ``name``; fires when it is gone, or after ``WAIT`` seconds.

        Never fails.  The removal goes on after that, and a cancel does not touch it.
        """
        removal = Deferred.fromCoroutine(self._versions.remove_or_tell(name))
        outcome = Outcome(removal)
        self._removals[name] = (removal, outcome)
        outcome.wait().addCallback(lambda _: self._removals.pop(name, None))
        return self._at_most(outcome)

    def is_pending(self, name: str) -> bool:
        """Whether the container ``name`` may still be there."""
        return name in self._removals

    async def close(self) -> None:
        """Wait for what is under way, at most ``WAIT`` seconds, then give up on it and say so."""
        for removal, outcome in list(self._removals.values()):
            await self._at_most(outcome)
            removal.cancel()
            await outcome.wait()

    def _at_most(self, outcome: Outcome[bool]) -> Deferred[None]:
        waiting = outcome.wait()
        waiting.addTimeout(WAIT, self._clock, onTimeoutCancel=lambda _result, _seconds: None)
        return waiting
