"""The rules of both families of addresses: what holds while one of them fails."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from hanoverd.network.firewall import Firewall
from hanoverd.network.route import Route
from hanoverd.runtime.errors import FirewallError
from hanoverd.spec.ports import (
    ANY_IPV4,
    ANY_IPV6,
    LOOPBACK,
    LOOPBACK_IPV6,
    ContainerPort,
    HostPort,
    PublishedPort,
)
from tests.fakes.firewall import FakeFirewall
from tests.unit.deploy.dummies import ids

REACTOR: Any = reactor

WEB = ContainerPort(80)


def routes(number: int, *, with_ipv6: bool = True) -> list[Route]:
    """The routes to the version of this number."""
    found = [Route(PublishedPort(HostPort(ANY_IPV4, 8080), WEB), f"172.17.0.{number}", HostPort(LOOPBACK, 32768))]
    if with_ipv6:
        port = PublishedPort(HostPort(ANY_IPV6, 8080), WEB)
        found.append(Route(port, f"fd00::{number}", HostPort(LOOPBACK_IPV6, 32768)))
    return found


class BothFamiliesTests(TestCase):
    """With the programs of tests/fakes."""

    def setUp(self) -> None:
        """Make the firewall."""
        self.fake, self.firewall = self.make(with_ipv6=True)

    def make(self, *, with_ipv6: bool) -> tuple[FakeFirewall, Firewall]:
        """Return a firewall, and the rules of an app in it."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        fake = FakeFirewall(Path(folder.name), with_ipv6=with_ipv6)
        return fake, Firewall(REACTOR, fake.environ, "app")

    def destinations(self) -> tuple[list[str], list[str]]:
        """The destinations for clients elsewhere, by family."""
        found = [
            [rule.rpartition(" ")[2] for rule in rules if "-j DNAT" in rule]
            for rules in (self.fake.rules(), self.fake.rules6())
        ]
        return found[0], found[1]

    async def test_both_families_move(self) -> None:
        for number in (2, 3):
            await self.firewall.route(f"app-{number}", routes(number))
            self.assertEqual(self.destinations(), ([f"172.17.0.{number}:80"], [f"[fd00::{number}]:80"]))
            self.assertIsNone(await self.firewall.repair())
        await self.firewall.clear()
        self.assertEqual((self.fake.rules(), self.fake.rules6()), ([], []))

    async def test_where_ipv4_fails_the_rules_of_ipv6_lead_to_the_version_before(self) -> None:
        await self.firewall.route("app-2", routes(2))
        self.fake.fail("iptables-restore")
        with self.assertRaises(FirewallError):
            await self.firewall.route("app-3", routes(3))
        self.assertEqual(self.destinations(), (["172.17.0.2:80"], ["[fd00::2]:80"]))

    async def test_where_ipv4_fails_at_first_no_rule_of_ipv6_is_left(self) -> None:
        self.fake.fail("iptables-restore")
        with self.assertRaises(FirewallError):
            await self.firewall.route("app-2", routes(2))
        self.assertEqual(self.destinations(), ([], []))

    async def test_rules_of_ipv6_that_cannot_be_changed_fail_the_flip_while_they_lead_to_a_version(self) -> None:
        await self.firewall.route("app-2", routes(2))
        self.fake.fail("ip6tables-restore")
        for with_ipv6 in (True, False):
            with self.assertRaises(FirewallError):
                await self.firewall.route("app-3", routes(3, with_ipv6=with_ipv6))
            self.assertEqual(self.destinations(), (["172.17.0.2:80"], ["[fd00::2]:80"]))

    async def test_rules_of_ipv6_are_removed_when_the_next_version_has_no_ipv6_address(self) -> None:
        await self.firewall.route("app-2", routes(2))
        await self.firewall.route("app-3", routes(3, with_ipv6=False))
        self.assertEqual((self.destinations(), self.fake.rules6()), ((["172.17.0.3:80"], []), []))

    async def test_a_host_without_ip6tables_serves_over_ipv4_and_that_is_logged_once(self) -> None:
        self.fake, self.firewall = self.make(with_ipv6=False)
        with capturedLogs() as logged:
            for number in (2, 3):
                await self.firewall.route(f"app-{number}", routes(number))
                self.assertEqual(self.destinations(), ([f"172.17.0.{number}:80"], []))
                self.assertIsNone(await self.firewall.repair())
        self.assertEqual(ids(logged), ["no_ipv6_rules"])
        await self.firewall.clear()

    async def test_a_change_of_the_rules_of_ipv6_is_repaired(self) -> None:
        await self.firewall.route("app-2", routes(2))
        await Firewall(REACTOR, self.fake.environ, "app").clear()
        gone = "the chain HANOVERD-app-IN is gone"
        self.assertEqual(await self.firewall.repair(), f"{gone} and {gone}")
        self.assertEqual(self.destinations(), (["172.17.0.2:80"], ["[fd00::2]:80"]))

    async def test_the_version_that_rules_of_ipv6_alone_lead_to_is_found(self) -> None:
        await self.firewall.route("app-2", routes(2)[1:])
        later = Firewall(REACTOR, self.fake.environ, "app")
        self.assertEqual(await later.routed_version(), ("app-2", "fd00::2"))
