"""The routes of an app: they send new connections to the published ports to the live version."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from hanoverd.network.bridge import PROC, can_reach_from_loopback
from hanoverd.network.conntrack import Conntrack
from hanoverd.network.firewall import Firewall
from hanoverd.network.port_owners import ports_served
from hanoverd.network.relay import Relays
from hanoverd.network.relay_target import Target
from hanoverd.network.route import Route
from hanoverd.network.rules import RoutedVersion
from hanoverd.network.udp_flows import UdpFlows
from hanoverd.runtime.cancellation import shielded
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.ports import ContainerPort, Family, HostPort, Protocol, PublishedPort
from hanoverd.spec.reachability import Reachability
from hanoverd.versions.version import Ready, Running

T = TypeVar("T")

#: How many repairs in succession are put off for a flip that is near: the version may not be ready for a long time.
_MOST_PUT_OFF = 2


@dataclass(frozen=True)
class Live:
    """A version that new connections are routed to along ``routes``.  Only ``Routes`` makes one."""

    running: Running
    routes: tuple[Route, ...] = ()

    @property
    def number(self) -> int:
        """The version's number."""
        return self.running.number

    @property
    def targets(self) -> dict[HostPort, Target]:
        """Where the clients are relayed to that no rule leads to the container, by the host port."""
        return {
            route.port.host: Target(route.address, route.port.container.number, self.running.name)
            for route in self.routes
        }


@dataclass(frozen=True)
class Flip:
    """The result of a flip: ``live`` is routed to, and ``replaced`` no longer."""

    live: Live
    replaced: tuple[Live, ...]


class Routes:
    """The published ports of an app, and the versions that they are routed to.

    The rules are changed by one method at a time: each change is planned from the rules that it finds.
    """

    def __init__(
        self,
        firewall: Firewall,
        ports: Sequence[PublishedPort],
        flows: UdpFlows,
        conntrack: Conntrack,
        relays: Relays,
        reachability: Reachability = Reachability.ROUTED,
    ) -> None:
        self._firewall = firewall
        self._ports = ports
        self._reachability = reachability
        #: The UDP flows to the ports.
        self.flows = flows
        self._conntrack = conntrack
        self._relays = relays
        self._lock = DeferredLock()
        #: Whether a flip is prepared, and how many repairs were put off since the last one.
        self._is_flip_near = False
        self._put_off = 0
        #: The versions that are routed to; empty without routes.
        self.live: tuple[Live, ...] = ()
        #: Since when, as a Unix time.
        self.live_since = 0.0
        #: Called when ``live`` has changed.
        self.on_live: Callable[[Sequence[Live]], object] = lambda _live: None

    def prepare(self) -> None:
        """Prepare a flip that is expected soon, so that it takes less time; ``abandon`` if it does not come."""
        self._firewall.prepare()
        self._is_flip_near = True

    async def abandon(self) -> None:
        """End what ``prepare`` started; fires when that has ended.  Idempotent."""
        self._is_flip_near = False
        await self._firewall.abandon()

    async def flip(
        self, ready: Ready, may_go_live: Callable[[], bool], on_flipped: Callable[[Flip], object] = lambda _flip: None
    ) -> Flip | None:
        """Route new connections to ``ready``, on all ports in one commit of the firewall.

        ``may_go_live`` is called last, when no other change is in progress: where it returns False, nothing is changed, and
        this returns None.  ``on_flipped`` is called before the next change starts, so that the next flip is decided with this
        one known.  UDP flows that no version answers are moved afterwards, and if no version was live before, connection
        attempts that failed are forgotten.  It is the point of no return: ignores cancellation.  Fails with ``HanoverdError``,
        and then the routes are as before.
        """

        async def flip() -> Flip | None:
            if not may_go_live():
                return None
            self._is_flip_near = False
            live = Live(ready.running, tuple(self._routes_to(ready.running)))
            await self._firewall.route(ready.name, [route for route in live.routes if not route.is_relayed])
            self._relays.set_live(live.targets)
            self.flows.set_live(ready.running, live.routes)
            flip = Flip(live, self.live)
            self._set_live(live)
            on_flipped(flip)
            return flip

        flipped = await shielded(self._exclusively(flip))
        if flipped is not None:
            await shielded(Deferred.fromCoroutine(self.flows.move_stale()))
        if flipped is not None and not flipped.replaced:
            # No version was live before: the rules may have led to one that had exited.
            tcp = [port.host for port in self._ports if port.host.protocol is Protocol.TCP]
            await shielded(Deferred.fromCoroutine(self._conntrack.forget_misrouted(tcp, self.flows.serving)))
        return flipped

    async def unroute(self, number: int | None = None) -> None:
        """Remove the routes: new connections are refused.  With ``number``, only where they go to that version.

        Idempotent; ignores cancellation.  Where it fails, with ``HanoverdError``, ``repair`` retries it.
        """

        async def unroute() -> None:
            if number is None or number in {live.number for live in self.live}:
                self.live = ()
                self._relays.set_live({})
                self.flows.set_live(None)
                self.on_live(self.live)
                await self._firewall.clear()

        await shielded(self._exclusively(unroute))

    def adopt(self, running: Running) -> Live:
        """Take ``running`` as live, because the rules of an earlier run route to it; they are not changed."""
        live = Live(running, tuple(self._routes_to(running)))
        self._relays.set_live(live.targets)
        self.flows.set_live(running, live.routes if self.has_ports_of(running) else ())
        self._set_live(live)
        return live

    def has_ports_of(self, running: Running) -> bool:
        """Return whether ``running`` is reached as the app is now, with all ports that are published now."""
        return self._suits(running.created.recipe.options, running.proxy_ports)

    def suits(self, options: ContainerSpec) -> bool:
        """Return whether a container with ``options`` is reached as the app is now; an earlier run may have had others."""
        return self._suits(options, options.ports)

    def _suits(self, options: ContainerSpec, ports: Collection[ContainerPort]) -> bool:
        return options.reachability is self._reachability and all(port.container in ports for port in self._ports)

    async def routed_version(self) -> RoutedVersion | None:
        """Return the version that the rules route to, which an earlier run may have made; None without rules.

        Fails with ``HanoverdError``.
        """
        return await self._firewall.routed_version()

    async def repair(self) -> str | None:
        """Repair what other programs changed of the rules, and retry what failed.

        Fires with what another program changed, for people; None if nothing.

        While a flip is prepared, which would have to wait, this does nothing for a call or two.  Ignores cancellation; fails
        with ``HanoverdError``.
        """
        if self._is_flip_near and self._put_off < _MOST_PUT_OFF:
            self._put_off += 1
            return None
        self._put_off = 0
        return await shielded(self._exclusively(self._firewall.repair))

    def describe(self, live: Live) -> str:
        """Return the routes for people, ``0.0.0.0:8080 -> 172.17.0.2:80``, or why there are none."""
        reachability = live.running.created.recipe.options.reachability
        return ", ".join(str(route) for route in live.routes) or reachability.without_routes

    def _routes_to(self, running: Running) -> Iterator[Route]:
        """Yield the routes to ``running``, as it is now."""
        is_direct = can_reach_from_loopback(running.address) if running.proxy_ports else False
        on_ipv6 = _ports_on_ipv6(running)
        for port in self._ports:
            proxy = running.proxy_ports.get(port.container)
            if proxy is None:
                # It is an adopted version: an earlier run published other ports, or used another network.
                continue
            if port.host.family is Family.IPV4:
                yield Route(port, running.address, None if is_direct else proxy, running.network)
            elif running.ipv6 is not None and port.container in on_ipv6:
                side = running.ipv6
                yield Route(port, side.address, None if is_direct else side.proxy_ports[port.container], side.network)
            else:
                yield Route(port, running.address, None, is_relayed=True)

    def _set_live(self, live: Live) -> None:
        self.live, self.live_since = (live,), time.time()
        self.on_live(self.live)

    def _exclusively(self, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> Deferred[T]:
        return self._lock.run(lambda: Deferred.fromCoroutine(work()))


def _ports_on_ipv6(running: Running) -> set[ContainerPort]:
    """Return the ports at which the app takes clients on its IPv6 address, and the engine lets them through.

    Many apps listen on IPv4 only.  Its process sees the sockets of a container (proc(5), ``/proc/PID/net``).
    """
    if running.ipv6 is None or not running.pid:
        return set()
    address, proc = ip_address(running.ipv6.address), PROC / str(running.pid)
    served = {protocol: ports_served(address, protocol, proc) for protocol in (Protocol.TCP, Protocol.UDP)}
    return {port for port in running.ipv6.proxy_ports if port.number in served.get(port.protocol, ())}
