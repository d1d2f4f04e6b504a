"""Adoption: finds the versions that an earlier hanoverd of the app left, and takes over the one that serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from hanoverd.deploy.events import Adopted, AdoptionCancelled, AdoptionFailed, Event, Exited
from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.docker.inspection import addresses_of, network_mode_of
from hanoverd.network.routes import Routes
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.errors import HanoverdError, VersionFailed
from hanoverd.spec.names import is_kept
from hanoverd.spec.reachability import Reachability
from hanoverd.versions.version import Container, Running
from hanoverd.versions.versions import Versions

log = Logger()


@dataclass(frozen=True)
class ListedContainer:
    """One container from the engine's list."""

    container: Container
    is_running: bool
    addresses: tuple[str, ...]
    reachability: Reachability

    @property
    def can_serve(self) -> bool:
        """Whether it runs, and clients can reach it."""
        return self.is_running and bool(self.addresses or not self.reachability.is_routed)


class Adoption:
    """Reads the state of an app from its containers and rules.  It is stored nowhere else."""

    def __init__(
        self,
        versions: Versions,
        routes: Routes,
        numbers: VersionNumbers,
        ready_within: float,
        send: Callable[[Event], object],
    ) -> None:
        self._versions = versions
        self._routes = routes
        self._numbers = numbers
        self._ready_within = ready_within
        self._send = send

    async def adopt(self) -> None:
        """Take over what an earlier run left, and send the result as an event.  Never fails.

        Cancel leaves what serves as it is.
        """
        try:
            adopted = await self.find()
        except CancelledError:
            await shielded(Deferred.fromCoroutine(self._versions.stop_monitoring_all()))
            self._send(AdoptionCancelled())
        except HanoverdError as error:
            self._send(AdoptionFailed(str(error)))
        except Exception as error:  # noqa: BLE001  # a bug must not end the daemon
            log.failure(
                "{app}: cannot take over the containers of an earlier run: internal error",
                event="internal_error",
                app=self._versions.app,
            )
            self._send(AdoptionFailed(f"internal error: {error}"))
        else:
            self._numbers.follow(adopted.next_number)
            self._send(adopted)
            self._send_exits(adopted)

    def _send_exits(self, adopted: Adopted) -> None:
        """Send the exits of adopted versions that came before ``adopted`` was handled."""
        for number in [adopted.serves, *(number for number, _ in adopted.draining)]:
            running = None if number is None else self._versions.running(number)
            if running is not None and running.has_exited:
                self._send(Exited(running.number, running.monitor.exit.get()))

    async def find(self) -> Adopted:
        """Find the versions, and make the one that serves live if it is ready; remove routes to a container that is gone.

        The routes say which version serves.  Without routes, it is the newest running version that is ready, or one that is
        reached without routes, ready or not: such versions do not run side by side.  Fails with ``HanoverdError``.
        Idempotent.  Cancel leaves the version that serves as it is.
        """
        await self._versions.stop_monitoring_all()
        listed = [_listed(container, one) for container, one in await self._versions.listed()]
        names = {one.container.number: one.container.name for one in listed}
        kept = tuple(one.container.number for one in listed if is_kept(one.container.name))
        running = [one for one in listed if one.can_serve and one.container.number not in kept]
        serving = await self._adopt_serving(running)
        draining = await self._adopt_draining(running, serving)
        served = () if serving is None else (serving[0].number,)
        former = tuple(number for number, _ in draining)
        unusable = tuple(number for number in names if number not in (*kept, *served, *former))
        for number in unusable:
            log.info(
                "{version}: left by an earlier run, and removed",
                event="leftover",
                version=names[number],
            )
        return Adopted(
            None if serving is None else serving[0].number,
            None if serving is None else serving[0].created.recipe,
            is_ready=serving is not None and serving[1],
            draining=draining,
            unusable=unusable,
            kept=kept,
            next_number=max([-1, *names]) + 1,
        )

    async def _adopt_serving(self, running: Sequence[ListedContainer]) -> tuple[Running, bool] | None:
        """Take over the version that serves; return it, and whether it is ready."""
        routed = await self._routes.routed_version()
        if routed is not None:
            for one in running:
                # Compare addresses, not names: a container may have been renamed.
                if routed.address in one.addresses:
                    return await self._take_over(one, routed.address)
            log.warn(
                "{version}: routes to {address} removed: no such container runs",
                event="routes_removed",
                version=routed.name,
                address=routed.address,
            )
            await self._routes.unroute()
        for one in sorted(running, key=lambda one: -one.container.number):
            if one.reachability.shares_ports:
                return await self._take_over(one, None)
            try:
                return await self._adopt_if_ready(one, None), True
            except VersionFailed as error:
                log.warn(
                    "{version}: left by an earlier run, cannot be taken over: {error}",
                    event="not_adopted",
                    version=one.container.name,
                    error=error,
                )
                await self._versions.stop_monitoring(one.container.number, keeps_running=True)
        return None

    async def _take_over(self, one: ListedContainer, address: str | None) -> tuple[Running, bool] | None:
        """Take over the version that clients reach, ready or not; ``address`` is the one that the routes lead to."""
        try:
            return await self._adopt_if_ready(one, address), True
        except VersionFailed as error:
            log.warn(
                "{version}: left by an earlier run, serves until the first handover though not ready: {error}",
                event="adopted_unready",
                version=one.container.name,
                error=error,
            )
        try:
            fallback = await self._versions.adopt(one.container, address)
        except VersionFailed as error:
            log.warn(
                "{version}: left by an earlier run, serves but cannot be monitored: {error}",
                event="not_adopted",
                version=one.container.name,
                error=error,
            )
            return None
        # A version that is not ready is better than none.
        self._routes.adopt(fallback)
        return fallback, False

    async def _adopt_if_ready(self, one: ListedContainer, address: str | None) -> Running:
        """Take over a version that passes its readiness check.  Fails with ``VersionFailed`` if it does not."""
        running = await self._versions.adopt(one.container, address)
        if not self._routes.has_ports_of(running):
            raise VersionFailed(
                "it does not have all the ports that are published now, or uses another kind of network"
            )
        ready = await self._versions.wait_until_ready(running, self._ready_within)
        if await self._routes.flip(ready, lambda: not running.has_exited) is None:
            raise await self._versions.exit_error(running)
        log.info(
            "{version}: live, taken over from an earlier run",
            event="adopted",
            version=running.name,
        )
        return running

    async def _adopt_draining(
        self, running: Sequence[ListedContainer], serving: tuple[Running, bool] | None
    ) -> tuple[tuple[int, bool], ...]:
        """Return the other running versions, which may have open connections, each with whether it had been live."""
        former = []
        for one in running:
            number = one.container.number
            if serving is not None and number == serving[0].number:
                continue
            try:
                # Its exit is reported from now on.
                await self._versions.adopt(one.container)
            except VersionFailed:
                continue
            log.info(
                "{version}: left by an earlier run, and drained",
                event="adopted_draining",
                version=one.container.name,
            )
            # A version that is newer than the serving one was never live.
            former.append((number, serving is not None and number < serving[0].number))
        return tuple(former)


def _listed(container: Container, listed: Mapping[str, Any]) -> ListedContainer:
    is_running = listed.get("State") in (None, "running", "paused")
    return ListedContainer(container, is_running, addresses_of(listed), Reachability.of(network_mode_of(listed)))
