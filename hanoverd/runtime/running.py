"""A Twisted service that lives while the reactor runs."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred


class RunningService(Service):
    """To be derived from: ``begin`` is called when the reactor runs, and ``end`` awaited before it stops."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        """Begin as soon as the reactor runs."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self.begin)

    def stopService(self) -> Deferred[None]:
        """Fire when ``end`` has ended."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.end())

    def begin(self) -> None:
        """The reactor runs."""
        raise NotImplementedError

    async def end(self) -> None:
        """The reactor is about to stop."""
        raise NotImplementedError
