"""The firewall's rules of an app, for both families of addresses."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from twisted.logger import Logger

from hanoverd.network.family_firewall import FamilyFirewall
from hanoverd.network.route import Route
from hanoverd.network.rules import RoutedVersion
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.processes import ProcessReactor
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.ports import Family

log = Logger()


class Firewall:
    """The rules of one app.  All methods fail with ``FirewallError``, ``ProgramMissing`` or ``ProgramNotStarted``.

    Rules for IPv6 are made only where the app's containers have IPv6 addresses.  Where they cannot be made, that is logged
    once, and is no failure: hanoverd then relays IPv6 clients itself.
    """

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str], app: str) -> None:
        self._ipv4 = FamilyFirewall(reactor, environ, app, Family.IPV4)
        self._ipv6 = FamilyFirewall(reactor, environ, app, Family.IPV6)
        # Whether rules for IPv6 may be there, of this run or of an earlier one.
        self._may_have_ipv6 = True
        self._report = ReportOnce(_warn)

    def prepare(self) -> None:
        """Start the program that ``route`` needs, so that it waits for its input: the flip is then only the commit.

        Where that fails, ``route`` starts the program itself.
        """
        self._ipv4.prepare()

    async def abandon(self) -> None:
        """End the program that ``prepare`` started; fires when it has ended.  Idempotent."""
        await self._ipv4.abandon()

    async def route(self, version: str, routes: Sequence[Route]) -> None:
        """Route new connections along ``routes``, all at once in each family, for clients elsewhere and on this host.

        IPv6 comes first: it may fail, and then nothing has changed.  In between, for some milliseconds, new connections over
        IPv6 go to the new version and those over IPv4 to the old one, which still serves: both are what a client meets
        in any handover.  Where it fails, the previous routes are in force, also the routes of an earlier run.
        """
        ipv6 = [route for route in routes if route.port.host.family is Family.IPV6]
        previous = self._ipv6.wanted
        await self._route_ipv6(version, ipv6)
        try:
            await self._ipv4.route(version, [route for route in routes if route.port.host.family is Family.IPV4])
        except HanoverdError:
            # The first failure is the one to report; ``repair`` retries.
            with contextlib.suppress(HanoverdError):
                await self._route_ipv6(*(previous or (version, ())))
            raise

    async def repair(self) -> str | None:
        """Repair the rules; fires with what another program changed of them, None if nothing."""
        found = [await self._ipv4.repair(), await self._ipv6.repair() if self._may_have_ipv6 else None]
        return " and ".join(problem for problem in found if problem is not None) or None

    async def routed_version(self) -> RoutedVersion | None:
        """Return the version that the rules route to, which an earlier run may have made; None without rules."""
        routed = await self._ipv4.routed_version()
        if routed is not None:
            return routed
        try:
            return await self._ipv6.routed_version()
        except HanoverdError:
            return None

    async def clear(self) -> None:
        """Remove all of the app's rules and chains; idempotent.  Where it fails, ``repair`` retries it."""
        await self._ipv4.clear()
        await self._clear_ipv6()

    async def _route_ipv6(self, version: str, routes: Sequence[Route]) -> None:
        if not routes:
            await self._clear_ipv6()
            return
        had_rules = self._ipv6.wanted is not None
        self._may_have_ipv6 = True
        try:
            await self._ipv6.route(version, routes)
        except HanoverdError as error:
            if had_rules:
                # They lead to the version before.
                raise
            self._may_have_ipv6 = False
            self._report(str(error))
        else:
            self._report.reset()

    async def _clear_ipv6(self) -> None:
        if not self._may_have_ipv6:
            return
        had_rules = self._ipv6.wanted is not None
        try:
            await self._ipv6.clear()
        except HanoverdError:
            if had_rules:
                raise
        # Where the rules cannot be read, this run cannot have made any.
        self._may_have_ipv6 = False


def _warn(reason: str) -> None:
    log.warn(
        "firewall: no rules for IPv6: {reason}. hanoverd relays IPv6 clients itself, and the app sees the address of this host",
        event="no_ipv6_rules",
        reason=reason,
    )
