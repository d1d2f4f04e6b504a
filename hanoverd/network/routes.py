"""The routes of an app: they lead new connections from the published ports to the live version."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from hanoverd.network.bridge import lets_loopback_through
from hanoverd.network.firewall import Firewall
from hanoverd.network.rules import Route, RoutedVersion
from hanoverd.runtime.cancellation import shielded
from hanoverd.spec.ports import ContainerPort, PublishedPort
from hanoverd.versions.version import Ready, Running

T = TypeVar("T")


@dataclass(frozen=True)
class Live:
    """A version that new connections are routed to.  Only ``Routes`` makes one."""

    running: Running

    @property
    def number(self) -> int:
        """The version's number."""
        return self.running.number


@dataclass(frozen=True)
class Flip:
    """What a flip has done: ``live`` is routed to in the place of ``replaced``."""

    live: Live
    replaced: tuple[Live, ...]


class Routes:
    """The published ports of an app, and the versions that they are routed to.

    One change of the rules at a time: each is planned from what it finds.
    """

    def __init__(self, firewall: Firewall, ports: Sequence[PublishedPort]) -> None:
        self._firewall = firewall
        self._ports = ports
        self._lock = DeferredLock()
        #: The versions that are routed to; empty without routes.
        self.live: tuple[Live, ...] = ()
        #: Since when, as a Unix time.
        self.live_since = 0.0

    def prepare(self) -> None:
        """Get ready for a flip that comes soon; ``abandon`` if it does not."""
        self._firewall.prepare()

    async def abandon(self) -> None:
        """Give up what ``prepare`` started; fires when it has gone.  Idempotent."""
        await self._firewall.abandon()

    async def flip(
        self, ready: Ready, may_go_live: Callable[[], bool], on_flipped: Callable[[Flip], object] = lambda _flip: None
    ) -> Flip | None:
        """Route all ports to ``ready``, in one commit of the firewall.

        ``may_go_live`` is asked in the last moment, when no other change is under way: if not, nothing is done, and the
        result is None.  ``on_flipped`` is called before the next change starts, so that no other flip is decided without
        knowing of this one.  The point of no return: ignores cancellation.  Fails with ``HanoverdError``, and then the routes
        are as before.
        """

        async def flipping() -> Flip | None:
            if not may_go_live():
                return None
            live = Live(ready.running)
            await self._firewall.route(ready.name, self._routes(ready.running))
            flip = Flip(live, self.live)
            self.live, self.live_since = (live,), time.time()
            on_flipped(flip)
            return flip

        return await shielded(self._alone(flipping))

    async def unroute(self, number: int | None = None) -> None:
        """Remove the routes: new connections are refused.  With ``number``, only if they lead to that version.

        Idempotent; ignores cancellation.  Where it fails, with ``HanoverdError``, ``repair`` does it later.
        """

        async def unrouting() -> None:
            if number is None or number in {live.number for live in self.live}:
                self.live = ()
                await self._firewall.clear()

        await shielded(self._alone(unrouting))

    def adopt(self, running: Running) -> Live:
        """Note that the rules, which an earlier run made, lead to ``running``, without a change."""
        live = Live(running)
        self.live, self.live_since = (live,), time.time()
        return live

    def has_ports_of(self, running: Running) -> bool:
        """Whether ``running``, which may be older than the published ports, has all of them."""
        return self.has_ports(running.proxy_ports)

    def has_ports(self, ports: Collection[ContainerPort]) -> bool:
        """Whether all published ports are among ``ports`` of a container."""
        return all(port.container in ports for port in self._ports)

    async def routed_version(self) -> RoutedVersion | None:
        """Return the version that the rules route to, also those of an earlier run; None without rules.

        Fails with ``HanoverdError``.
        """
        return await self._firewall.routed_version()

    async def repair(self) -> str | None:
        """Repair what others changed of the rules, and finish what failed; fires with what others changed, None if nothing.

        Ignores cancellation; fails with ``HanoverdError``.
        """
        return await shielded(self._alone(self._firewall.repair))

    def describe(self, live: Live) -> str:
        """The routes for the log: "0.0.0.0:8080 -> 172.17.0.2:80"."""
        return ", ".join(str(route) for route in self._routes(live.running))

    def routes_to(self, running: Running) -> list[Route]:
        """The routes that lead to ``running`` when it is live."""
        return self._routes(running)

    def _alone(self, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> Deferred[T]:
        return self._lock.run(lambda: Deferred.fromCoroutine(work()))

    def _routes(self, running: Running) -> list[Route]:
        direct = lets_loopback_through(running.address)
        return [
            Route(port, running.address, None if direct else running.proxy_ports[port.container])
            for port in self._ports
        ]
