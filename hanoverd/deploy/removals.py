"""Removes containers: those of versions that did not go live, and whatever is left at the end."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.network.routes import Routes
from hanoverd.runtime.cancellation import Outcome, uncancellable
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.polling import growing, pause
from hanoverd.versions.version import Container, Versions

log = Logger()

#: How long a handover, or the end of the daemon, waits for an engine that does not answer, in seconds.
WAIT = 10.0

#: How often the end of the daemon tries to remove the rules.
TRIES = 6


class Removals:
    """The removals under way.  ``on_gone`` is called with the number of each version that is gone, or given up."""

    def __init__(
        self, clock: IReactorTime, versions: Versions, routes: Routes, on_gone: Callable[[int], object]
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._routes = routes
        self._on_gone = on_gone
        self._removals: dict[Container, tuple[Deferred[bool], Outcome[bool]]] = {}
        self._stops: list[Deferred[None]] = []

    def remove(self, container: Container) -> Deferred[None]:
        """Start to remove a container; fires when it is gone, or after ``WAIT`` seconds.

        Never fails.  The removal goes on after that, and a cancel does not touch it.
        """
        removal = Deferred.fromCoroutine(self._versions.remove_or_log(container))
        outcome = Outcome(removal)
        self._removals[container] = (removal, outcome)
        outcome.wait().addCallback(lambda _: self._removed(container))
        return self._at_most(outcome)

    async def close(self) -> None:
        """Wait for what is under way, at most ``WAIT`` seconds, then give up on it and log it."""
        for removal, outcome in list(self._removals.values()):
            await self._at_most(outcome)
            removal.cancel()
            await outcome.wait()

    async def sweep(self) -> None:
        """Remove the rules, and stop and remove all containers of the app; fires when nothing is left, and never fails: what
        cannot be removed is logged.  Ignores cancellation; ``hasten`` kills what does not stop in time.
        """
        await self._unroute()
        try:
            listed = await self._versions.listed()
        except HanoverdError as error:
            log.error("it cannot be checked that nothing is left: {error}", event="sweep_failed", error=error)
            return
        self._stops = [Deferred.fromCoroutine(self._end(container)) for container, _ in listed]
        for outcome in [Outcome(stop) for stop in self._stops]:
            await uncancellable(outcome.wait())

    def hasten(self) -> None:
        """Kill what is being stopped, and give up on what the engine does not remove."""
        for stop in self._stops:
            stop.cancel()
        for removal, _ in list(self._removals.values()):
            removal.cancel()

    async def _unroute(self) -> None:
        for tries, wait in enumerate(growing(0.1, 2.0, 2.0), 1):
            try:
                await self._routes.unroute()
            except HanoverdError as error:
                if tries == TRIES:
                    log.error("the rules could not be removed: {error}", event="routes_failed", error=error)
                    return
                await pause(self._clock, wait)
            else:
                return

    async def _end(self, container: Container) -> None:
        try:
            await self._versions.stop(container)
        except (CancelledError, HanoverdError):
            pass  # Removing it stops it too.
        await self._versions.remove_or_log(container)

    def _removed(self, container: Container) -> None:
        self._removals.pop(container, None)
        self._on_gone(container.number)

    def _at_most(self, outcome: Outcome[bool]) -> Deferred[None]:
        waiting = outcome.wait()
        waiting.addTimeout(WAIT, self._clock, onTimeoutCancel=lambda _result, _seconds: None)
        return waiting
