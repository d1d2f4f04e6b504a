"""The switch: leads new connections to one version, and knows to which."""

from __future__ import annotations

import time
from collections.abc import Sequence

from twisted.internet.defer import Deferred, DeferredLock

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.edges.bridge import lets_loopback_through
from hanoverd.edges.firewall import Firewall
from hanoverd.edges.ports import HeldPort
from hanoverd.model.rules import Route
from hanoverd.version import Live, Ready, Running


class Switch:
    """The published ports of an app.  ``live`` is the version that they lead to, None while they lead nowhere."""

    def __init__(self, firewall: Firewall, ports: Sequence[HeldPort]) -> None:
        self._firewall = firewall
        self._ports = ports
        # One change of the rules at a time: each is planned from what it finds.
        self._lock = DeferredLock()
        self.live: Live | None = None
        #: Since when, as a Unix time.
        self.live_since = 0.0

    async def flip(self, ready: Ready) -> Live:
        """Lead all ports to ``ready``, in one commit of the firewall.

        The point of no return: deaf to every cancel.  Fails with ``FirewallError``, and then the ports lead where
        they led before.
        """
        live = Live(ready)

        async def leading() -> Live:
            await self._firewall.lead(live.name, self._routes(ready.running))
            self.live, self.live_since = live, time.time()
            return live

        return await uncancellable(self._lock.run(lambda: Deferred.fromCoroutine(leading())))

    async def out(self, of: Live | None = None) -> bool:
        """Lead the ports nowhere: new connections are refused; if ``of`` is given, only if they lead to that version.

        Gives whether it did.  Idempotent; deaf to every cancel; fails with ``FirewallError``.
        """

        async def leading_nowhere() -> bool:
            if of is not None and self.live is not of:
                return False
            self.live = None
            await self._firewall.clear()
            return True

        return await uncancellable(self._lock.run(lambda: Deferred.fromCoroutine(leading_nowhere())))

    def can_lead_to(self, running: Running) -> bool:
        """Whether ``running``, which may be older than the published ports, has all of them."""
        return all(port.publish.container_port in running.loopback_ports for port in self._ports)

    async def leads_to(self) -> tuple[str, str] | None:
        """The version that the rules lead to, and its address, whoever made them; fails with ``FirewallError``."""
        return await self._firewall.leads_to()

    async def mend(self) -> str | None:
        """Put right what somebody else changed of the rules; fires with what it was, None if nothing.

        Deaf to every cancel; fails with ``FirewallError``.
        """
        return await uncancellable(self._lock.run(lambda: Deferred.fromCoroutine(self._firewall.mend())))

    def describe(self, live: Live) -> str:
        """Where the ports lead, for the log: "0.0.0.0:8080 -> 172.17.0.2:80"."""
        return ", ".join(str(route) for route in self.routes(live))

    def routes(self, live: Live) -> list[Route]:
        """Where each port leads that leads to ``live``."""
        return self._routes(live.running)

    def _routes(self, running: Running) -> list[Route]:
        direct = lets_loopback_through(running.address)
        return [
            Route(
                host_ip=port.publish.host_ip,
                host_port=port.host_port,
                container_ip=running.address,
                container_port=port.publish.container_port,
                loopback_port=None if direct else running.loopback_ports[port.publish.container_port],
            )
            for port in self._ports
        ]
