"""Removes containers: those of versions that did not go live, and whatever is left at the end."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.network.routes import Routes
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import settles_within
from hanoverd.runtime.errors import HanoverdError
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Versions

log = Logger()

#: How long a handover, or the end of the daemon, waits for an engine that does not answer, in seconds.
WAIT = 10.0

#: The waits between the attempts of the stopping daemon to remove the rules, and the number of attempts.
BACKOFF, ATTEMPTS = Backoff(first=0.1, longest=2.0), 6


class Removals:
    """The removals under way.  ``on_gone`` is called with the number of each version that is gone, or given up."""

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        stopper: Stopper,
        routes: Routes,
        on_gone: Callable[[int], object],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._stopper = stopper
        self._routes = routes
        self._on_gone = on_gone
        self._removals: dict[Container, tuple[Deferred[bool], Outcome[bool]]] = {}
        self._stops: list[Deferred[None]] = []

    def remove(self, container: Container) -> Deferred[None]:
        """Start to remove a container; fires when it is gone, or after ``WAIT`` seconds.

        Never fails.  The removal goes on after that, and a cancel does not touch it.
        """
        removal = Deferred.fromCoroutine(self._stopper.remove_or_log(container))
        outcome = Outcome(removal)
        self._removals[container] = (removal, outcome)
        outcome.wait().addCallback(lambda _: self._removed(container))
        return Deferred.fromCoroutine(self._wait(outcome))

    async def close(self) -> None:
        """Wait for what is under way, at most ``WAIT`` seconds, then give up on it and log it."""
        for removal, outcome in list(self._removals.values()):
            await self._wait(outcome)
            removal.cancel()
            await outcome.wait()

    async def sweep(self) -> None:
        """Remove the rules, and stop and remove all containers of the app; fires when nothing is left, and never fails: what
        cannot be removed is logged.  Ignores cancellation; ``kill`` kills what does not stop in time.
        """
        await self._unroute()
        try:
            listed = await self._versions.listed()
        except HanoverdError as error:
            log.error(
                "{app}: cannot check that no container is left: {error}",
                event="sweep_failed",
                app=self._versions.app,
                error=error,
            )
            return
        self._stops = [Deferred.fromCoroutine(self._end(container)) for container, _ in listed]
        for outcome in [Outcome(stop) for stop in self._stops]:
            await shielded(outcome.wait())

    def kill(self) -> None:
        """Kill what is being stopped, and give up on what the engine does not remove."""
        for stop in self._stops:
            stop.cancel()
        for removal, _ in list(self._removals.values()):
            removal.cancel()

    async def _unroute(self) -> None:
        try:
            await retry(self._clock, BACKOFF, self._routes.unroute, on=HanoverdError, attempts=ATTEMPTS)
        except HanoverdError as error:
            log.error(
                "{app}: routes cannot be removed: {error}", event="routes_failed", app=self._versions.app, error=error
            )

    async def _end(self, container: Container) -> None:
        try:
            await self._stopper.stop(container)
        except (CancelledError, HanoverdError):
            pass  # Removing it stops it too.
        await self._stopper.remove_or_log(container)

    def _removed(self, container: Container) -> None:
        self._removals.pop(container, None)
        self._on_gone(container.number)

    async def _wait(self, outcome: Outcome[bool]) -> None:
        """Wait until a removal has ended, at most ``WAIT`` seconds."""
        await settles_within(self._clock, WAIT, outcome)
