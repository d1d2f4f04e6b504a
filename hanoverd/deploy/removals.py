"""Removes routes and containers: of versions that failed or exited, and all that is left at the end."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy.effects import CleanUpDead
from hanoverd.deploy.events import Event, Gone, Swept
from hanoverd.deploy.report import Reporter
from hanoverd.network.conntrack import Conntrack
from hanoverd.network.routes import Routes
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import settles_within
from hanoverd.runtime.errors import HanoverdError
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container
from hanoverd.versions.versions import Versions

log = Logger()

#: The waits between the attempts of the stopping daemon to remove the rules, and the number of attempts.
BACKOFF, ATTEMPTS = Backoff(first=0.1, longest=2.0), 6


class Removals:
    """The pending removals of one app.  ``send`` takes the events."""

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        stopper: Stopper,
        routes: Routes,
        conntrack: Conntrack,
        reporter: Reporter,
        patience: float,
        send: Callable[[Event], object],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._stopper = stopper
        self._routes = routes
        self._conntrack = conntrack
        self._reporter = reporter
        self._patience = patience
        self._send = send
        self._removals: dict[Container, tuple[Deferred[bool], Outcome[bool]]] = {}
        self._stops: list[Deferred[None]] = []

    async def clean_up_dead(self, effect: CleanUpDead) -> None:
        """Report a live version that has exited, and remove its container.  Ignores cancellation."""
        running = self._versions.running(effect.number)
        if running is not None:
            # Clients would wait for minutes for an answer on the connections that it had not answered.
            await shielded(Deferred.fromCoroutine(self._conntrack.forget_unanswered(running.addresses)))
            reason, output = await self._versions.describe_exit(running)
            self._reporter.died(running, reason, output, effect)
        await self.remove_version(effect.number)

    async def remove_routes(self, number: int | None) -> None:
        """Remove the routes to a version; None: to any version.

        A failure is logged; the rule reconciler retries later.
        """
        try:
            await self._routes.unroute(number)
        except HanoverdError as error:
            log.error(
                "{app}: routes cannot be removed: {error}; retrying",
                event="routes_failed",
                app=self._versions.app,
                error=error,
            )

    async def remove_version(self, number: int) -> None:
        """Remove the container of a version as ``remove`` does.  Ignores cancellation."""
        await shielded(self.remove(self._versions.container(number)))

    def remove(self, container: Container) -> Deferred[None]:
        """Start to remove a container; fires when it is removed, or after ``patience`` seconds.

        Never fails.  The removal continues after that.  A cancel ends the wait, not the removal.
        """
        removal = Deferred.fromCoroutine(self._stopper.remove_or_log(container))
        outcome = Outcome(removal)
        self._removals[container] = (removal, outcome)
        outcome.wait().addCallback(lambda _: self._removed(container))
        return Deferred.fromCoroutine(self._wait(outcome))

    async def close(self) -> None:
        """Wait at most ``patience`` seconds for each pending removal, then give it up, which is logged."""
        for removal, outcome in list(self._removals.values()):
            await self._wait(outcome)
            removal.cancel()
            await outcome.wait()

    async def sweep(self) -> None:
        """Remove all rules and containers of the app, and send ``Swept``.

        Never fails: what cannot be removed is logged.  Ignores cancellation; ``kill`` kills what does not stop in time.
        """
        await self.close()
        await self._remove_all_routes()
        await self._remove_all_containers()
        self._send(Swept())

    async def _remove_all_containers(self) -> None:
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
        self._stops = [Deferred.fromCoroutine(self._stop_and_remove(container)) for container, _ in listed]
        for outcome in [Outcome(stop) for stop in self._stops]:
            await shielded(outcome.wait())

    def kill(self) -> None:
        """Kill what is being stopped, and give up on what the engine does not remove."""
        for stop in self._stops:
            stop.cancel()
        for removal, _ in list(self._removals.values()):
            removal.cancel()

    async def _remove_all_routes(self) -> None:
        try:
            await retry(self._clock, BACKOFF, self._routes.unroute, on=HanoverdError, attempts=ATTEMPTS)
        except HanoverdError as error:
            log.error(
                "{app}: routes cannot be removed: {error}", event="routes_failed", app=self._versions.app, error=error
            )

    async def _stop_and_remove(self, container: Container) -> None:
        try:
            await self._stopper.stop(container)
        except (CancelledError, HanoverdError):
            pass  # Removing it stops it too.
        await self._stopper.remove_or_log(container)

    def _removed(self, container: Container) -> None:
        self._removals.pop(container, None)
        self._send(Gone(container.number))

    async def _wait(self, outcome: Outcome[bool]) -> None:
        """Wait until a removal has ended, at most ``patience`` seconds."""
        await settles_within(self._clock, self._patience, outcome)
