"""A Twisted service that starts and stops with the reactor."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from hanoverd.runtime.reactors import ServiceReactor


class RunningService(Service):
    """A base class: ``begin`` is called when the reactor runs, and ``end`` is awaited before the reactor stops."""

    def __init__(self, reactor: ServiceReactor) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        """Call ``begin`` when the reactor runs."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self.begin)

    def stopService(self) -> Deferred[None]:
        """Call ``end``; fires when it has finished."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.end())

    def begin(self) -> None:
        """Start the work: the reactor runs."""
        raise NotImplementedError

    async def end(self) -> None:
        """Stop the work: the reactor is about to stop."""
        raise NotImplementedError
