"""Moves the UDP flows of replaced versions, by the program ``conntrack``.

An entry of the kernel's table that is deleted is made again by the client's next packet, as the rules are then.  It
looks at all flows to the published host ports that neither the live version answers, nor one that still drains: also flows
that began while no version was live, or in an earlier run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twisted.logger import Logger

from hanoverd.network.bridge import PROC
from hanoverd.network.flows import LONGEST_LISTING, Endpoint, local_networks, parse_flows, stale_filters
from hanoverd.network.relay import Relays
from hanoverd.network.route import Route
from hanoverd.runtime.capabilities import Keep
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import FirewallError, HanoverdError
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.ports import Protocol, PublishedPort
from hanoverd.versions.version import Running

log = Logger()

#: After flows were moved, the table is looked at again: an answer that was on its way may have made an entry.
_AGAIN_AFTER = (0.1, 0.3)


@dataclass(frozen=True)
class _Version:
    """A version, and where it answers UDP: at its own address, and through the engine's proxy."""

    running: Running
    endpoints: frozenset[Endpoint]


class UdpFlows:
    """The UDP flows to the published ports of one app; without UDP ports, it does nothing.

    No method fails: what cannot be done is logged once, and those flows stay until they have been silent for a while.
    """

    def __init__(
        self,
        reactor: ProcessReactor,
        environ: Mapping[str, str],
        ports: Sequence[PublishedPort],
        relays: Relays,
        proc: Path = PROC,
    ) -> None:
        self._reactor = reactor
        self._environ = environ
        self._hosts = [port.host for port in ports if port.host.protocol is Protocol.UDP]
        self._relays = relays
        self._proc = proc
        self._report = ReportOnce(_warn)
        self._live: _Version | None = None
        #: The versions that were live and may still answer the flows that they have.
        self._draining: dict[int, _Version] = {}

    @property
    def has_ports(self) -> bool:
        """Whether a UDP port is published."""
        return bool(self._hosts)

    def endpoints_of(self, running: Running) -> frozenset[Endpoint]:
        """Return where a version itself answers the flows that were routed to it; empty if none was."""
        known = self._draining.get(running.number)
        return frozenset() if known is None else known.endpoints

    @property
    def serving(self) -> frozenset[str]:
        """The addresses of the live version, and of those that were live and drain."""
        return frozenset(address for version in self._versions for address in version.running.addresses)

    def set_live(self, running: Running | None, routes: Sequence[Route] = ()) -> None:
        """New flows go to ``running`` along ``routes`` from now on; None: nowhere.  The version before it keeps its flows."""
        self._draining = {number: one for number, one in self._draining.items() if not one.running.has_exited}
        if self._live is not None:
            self._draining[self._live.running.number] = self._live
        self._live = None
        if running is not None:
            self._live = _Version(running, _endpoints(routes))
            self._draining.pop(running.number, None)

    async def move_stale(self) -> None:
        """Move the flows that no live or draining version answers.  Cancel ends the program."""
        await self._delete(())

    async def move(self, running: Running) -> None:
        """Move the flows of a replaced version to the live one; idempotent.  It keeps them if it is the live one.

        Fires within a second.  Cancel ends the program.
        """
        self._draining.pop(running.number, None)
        if not self._is_live(running):
            self._relays.close_flows(running.name)
        for seconds in _AGAIN_AFTER:
            if self._is_live(running) or not await self._delete(running.addresses):
                return
            await sleep(self._reactor, seconds)
        if not self._is_live(running):
            await self._delete(running.addresses)

    def _is_live(self, running: Running) -> bool:
        return self._live is not None and self._live.running.number == running.number

    async def _delete(self, former: Collection[str]) -> bool:
        """Delete the stale flows, and return whether there were any."""
        if not self._hosts:
            return False
        try:
            listing = await self._conntrack("-L", "-p", "udp")
            local = local_networks((self._proc / "net/fib_trie").read_text(), self._if_inet6())
            filters = stale_filters(parse_flows(listing), self._hosts, local, self._kept, former)
            for words in filters:
                await self._conntrack("-D", "-p", "udp", *words, codes=(0, 1))
        except (HanoverdError, OSError) as error:
            self._report(str(error))
            return False
        self._report.reset()
        return bool(filters)

    def _if_inet6(self) -> str:
        try:
            return (self._proc / "net/if_inet6").read_text()
        except FileNotFoundError:
            # The kernel has no IPv6.
            return ""

    @property
    def _kept(self) -> frozenset[Endpoint]:
        return frozenset().union(*(version.endpoints for version in self._versions))

    @property
    def _versions(self) -> list[_Version]:
        draining = [version for version in self._draining.values() if not version.running.has_exited]
        return draining if self._live is None else [*draining, self._live]

    async def _conntrack(self, *arguments: str, codes: Collection[int] = (0,)) -> str:
        """Run ``conntrack``; of ``-D``, the exit status is 1 if there was no such flow."""
        ended = await run(
            self._reactor,
            ("conntrack", *arguments),
            self._environ,
            keep=Keep.EVERYTHING,
            limit=LONGEST_LISTING,
        )
        if ended.code not in codes:
            raise FirewallError(ended.stderr.strip() or f"exit status {ended.code}")
        return ended.stdout


def _endpoints(routes: Sequence[Route]) -> frozenset[Endpoint]:
    found = set()
    for route in routes:
        if route.port.container.protocol is Protocol.UDP:
            found.add(Endpoint(route.address, route.port.container.number))
            if route.proxy is not None:
                found.add(Endpoint(str(route.proxy.address), route.proxy.number))
    return frozenset(found)


def _warn(reason: str) -> None:
    log.warn(
        "conntrack: UDP flows not moved to the live version: {reason}. A client that keeps its source port stays with the "
        "version that it has, until it is silent for two minutes",
        event="udp_flows_not_moved",
        reason=reason,
    )
