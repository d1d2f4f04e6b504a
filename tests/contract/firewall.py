"""What hanoverd relies on in ``iptables-save`` and ``iptables-restore``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from twisted.internet import process, reactor
from twisted.trial.unittest import TestCase

from hanoverd.network.firewall import Firewall
from hanoverd.network.iptables import commit, delete, delete_chain, parse_table
from hanoverd.network.route import Route
from hanoverd.network.rules import Claim, RoutedVersion, claims, plan_nothing
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import FirewallError
from hanoverd.spec.ports import ANY_IPV4, LOOPBACK, ContainerPort, HostPort, Protocol, PublishedPort

REACTOR: Any = reactor

#: The longest name of an app that is not cut, to see that the chains' names fit.
APP = "contract-of-15c"


class FirewallContract(TestCase):
    """To be derived from."""

    environ: dict[str, str]

    def saved(self) -> str:
        """Return the present table."""
        raise NotImplementedError

    def restore(self, lines: str) -> None:
        """Change the table as another program would."""
        raise NotImplementedError

    def firewall(self, app: str = APP) -> Firewall:
        """Return the firewall of an app."""
        return Firewall(REACTOR, self.environ, app)

    def rules(self) -> list[str]:
        """Return the rules of hanoverd."""
        return [line for line in self.saved().splitlines() if "HANOVERD" in line]

    def destinations(self) -> list[str]:
        """The destinations of the rules for clients elsewhere, in their order."""
        return [line.rpartition(" ")[2] for line in self.rules() if "-j DNAT" in line and "-IN" in line]

    async def test_all_ports_move_at_once_and_nothing_is_left_in_the_end(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2), route(8081, 2)])
        self.assertEqual(self.destinations(), ["172.17.0.2:80", "172.17.0.2:80"])
        await firewall.route("app-1", [route(8080, 3), route(8081, 3)])
        self.assertEqual(self.destinations(), ["172.17.0.3:80", "172.17.0.3:80"])
        self.assertEqual(len([line for line in self.rules() if line.startswith(("-A PREROUTING", "-A OUTPUT"))]), 2)
        for _ in range(2):
            await firewall.clear()
            self.assertEqual(self.rules(), [])

    async def test_500_ports_of_both_protocols_move_in_one_commit(self) -> None:
        firewall, number = self.firewall(), 250
        for container in (2, 3):
            routes = [
                Route(
                    PublishedPort(HostPort(ANY_IPV4, 8000 + index, protocol), ContainerPort(8000 + index, protocol)),
                    f"172.17.0.{container}",
                    HostPort(LOOPBACK, 32768 + index, protocol),
                )
                for index in range(number)
                for protocol in (Protocol.TCP, Protocol.UDP)
            ]
            await firewall.route(f"app-{container}", routes)
            self.assertEqual(
                self.destinations(), [f"172.17.0.{container}:{8000 + index // 2}" for index in range(2 * number)]
            )
            # Each option of each rule is printed as it was written.
            self.assertIsNone(await firewall.repair())
        await firewall.clear()
        self.assertEqual(self.rules(), [])

    async def test_a_rule_of_another_protocol_is_repaired(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2)])
        chain = f"HANOVERD-{APP}-IN"
        [rule] = [line for line in self.rules() if line.startswith(f"-A {chain}") and "--dport" in line]
        udp = rule.replace("-p tcp -m tcp", "-p udp -m udp")
        self.restore(f"*nat\n-D {rule[3:]}\n{udp}\nCOMMIT\n")
        self.assertEqual(await firewall.repair(), f"the rules in the chain {chain} were changed")
        self.assertIn(rule, self.rules())
        self.assertNotIn(udp, self.rules())
        await firewall.clear()

    async def test_a_host_address_and_what_it_claims(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2, "10.1.2.3"), route(8081, 2)])
        own = f"HANOVERD-{APP}-IN"
        self.assertEqual(
            claims(parse_table(self.saved())),
            [Claim(own, published(8080, "10.1.2.3").host), Claim(own, published(8081).host)],
        )
        await firewall.clear()

    async def test_apps_do_not_touch_each_other(self) -> None:
        first, second = self.firewall("first"), self.firewall("second")
        await first.route("first-0", [route(8080, 2)])
        await second.route("second-0", [route(8081, 3)])
        await first.clear()
        self.assertEqual(self.destinations(), ["172.17.0.3:80"])
        await second.clear()

    async def test_a_commit_that_fails_changes_nothing(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2), route(8081, 2)])
        before = self.rules()
        try:
            # The second rule is wrong: the first must not come into force.
            await firewall.route("app-1", [route(8080, 3), replace(route(8081, 3), address="nowhere")])
        except FirewallError:
            pass
        else:
            self.fail("the commit did not fail")
        self.assertEqual(self.rules(), before)
        await firewall.clear()

    async def test_a_jump_that_another_put_ahead_of_ours_is_overtaken(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2)])
        self.restore("*nat\n:STRANGER - [0:0]\n-I PREROUTING 1 -j STRANGER\nCOMMIT\n")
        await firewall.route("app-1", [route(8080, 3)])
        self.assertEqual(self.destinations(), ["172.17.0.3:80"])
        self.assertIsNotNone(await firewall.repair())
        self.assertEqual(self.destinations(), ["172.17.0.3:80"])
        jumps = [line for line in self.saved().splitlines() if line.startswith("-A PREROUTING")]
        self.assertIn("HANOVERD", jumps[0])
        self.assertIn("STRANGER", jumps[1])
        self.assertEqual(len([jump for jump in jumps if "HANOVERD" in jump]), 1)
        self.restore("*nat\n-D PREROUTING -j STRANGER\n-X STRANGER\nCOMMIT\n")
        await firewall.clear()

    async def test_chains_that_were_taken_out_by_another_are_created_again(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2)])
        before = self.rules()
        await self.firewall().clear()
        await firewall.route("app-0", [route(8080, 2)])
        self.assertIsNotNone(await firewall.repair())
        self.assertEqual(self.rules(), before)
        await firewall.clear()

    async def test_what_others_change_is_seen_and_repaired(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2), route(8081, 2, "10.1.2.3")])
        self.assertEqual(await firewall.routed_version(), RoutedVersion("app-0", "172.17.0.2"))
        self.assertIsNone(await firewall.repair())
        before = self.rules()
        own = f"HANOVERD-{APP}"
        for change, wrong in (
            (f":{own}-IN - [0:0]", f"the rules in the chain {own}-IN were changed"),
            (
                f"-D OUTPUT -m addrtype --dst-type LOCAL -j {own}-OUT\n:{own}-OUT - [0:0]\n-X {own}-OUT",
                f"the chain {own}-OUT is gone",
            ),
            (
                f"-D PREROUTING -m addrtype --dst-type LOCAL -j {own}-IN",
                f"the jump from PREROUTING to {own}-IN is gone",
            ),
            (":STRANGER - [0:0]\n-I PREROUTING 1 -j STRANGER", f"STRANGER went ahead of {own}-IN in PREROUTING"),
            (
                f"-I OUTPUT 1 -m addrtype --dst-type LOCAL -j {own}-OUT",
                f"OUTPUT jumps to {own}-OUT twice",
            ),
        ):
            self.restore(f"*nat\n{change}\nCOMMIT\n")
            self.assertEqual(await firewall.repair(), wrong)
            self.assertIsNone(await firewall.repair())
            self.assertEqual(sorted(self.rules()), sorted(before))
        self.restore("*nat\n-D PREROUTING -j STRANGER\n-X STRANGER\nCOMMIT\n")
        await firewall.clear()
        self.assertIsNone(await firewall.repair())
        self.assertIsNone(await firewall.routed_version())

    async def test_rules_that_an_earlier_run_made_are_found(self) -> None:
        await self.firewall().route("app-7", [route(8080, 2)])
        self.assertEqual(await self.firewall().routed_version(), RoutedVersion("app-7", "172.17.0.2"))
        await self.firewall().clear()

    async def test_a_prepared_flip_works_as_any_other(self) -> None:
        firewall = self.firewall()
        for container in (2, 3):
            firewall.prepare()
            await firewall.route(f"app-{container}", [route(8080, container), route(8081, container)])
            self.assertEqual(self.destinations(), [f"172.17.0.{container}:80"] * 2)
            self.assertIsNone(await firewall.repair())
        await firewall.clear()

    async def test_a_prepared_flip_that_is_abandoned_changes_nothing(self) -> None:
        firewall = self.firewall()
        await firewall.route("app-0", [route(8080, 2)])
        before = self.rules()
        firewall.prepare()
        for _ in range(2):
            await firewall.abandon()
            self.assertEqual(self.rules(), before)
        await firewall.route("app-1", [route(8080, 3)])
        self.assertEqual(self.destinations(), ["172.17.0.3:80"])
        await firewall.clear()

    async def test_a_prepared_program_that_died_is_replaced(self) -> None:
        firewall = self.firewall()
        for prepares_again in (False, True):
            firewall.prepare()
            [program] = process.reapProcessHandlers.values()
            program.signalProcess("KILL")
            await until(lambda: not process.reapProcessHandlers)
            if prepares_again:
                firewall.prepare()
                self.assertEqual(len(process.reapProcessHandlers), 1)
            await firewall.route("app-0", [route(8080, 2)])
            self.assertEqual(self.destinations(), ["172.17.0.2:80"])
            await firewall.clear()

    async def test_two_preparations_start_one_program(self) -> None:
        firewall = self.firewall()
        firewall.prepare()
        firewall.prepare()
        self.assertEqual(len(process.reapProcessHandlers), 1)
        await firewall.route("app-0", [route(8080, 2)])
        self.assertEqual(self.destinations(), ["172.17.0.2:80"])
        self.assertEqual(len(process.reapProcessHandlers), 0)
        await firewall.clear()

    async def test_another_programs_rule_is_read_and_is_deleted_as_it_was_printed(self) -> None:
        comments = ("plain", "-j", 'the "web" \\ -j X', "it's 100%", "☃", "a ! b")
        for comment in comments:
            quoted = "".join(f"\\{character}" if character in '"\\' else character for character in comment)
            self.restore(f'*nat\n:STRANGER - [0:0]\n-A STRANGER -m comment --comment "{quoted}" -j RETURN\nCOMMIT\n')
            [rule] = parse_table(self.saved()).rules_of("STRANGER")
            self.assertEqual((rule.comment, rule.target), (comment, "RETURN"))
            self.restore(commit([delete(rule), delete_chain("STRANGER")]))
            self.assertNotIn("STRANGER", parse_table(self.saved()).chains)

    async def test_the_empty_commit_changes_nothing(self) -> None:
        before = self.saved().count("\n-A ")
        self.restore(plan_nothing())
        self.assertEqual(self.saved().count("\n-A "), before)


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds, turn by turn of the reactor."""
    end = REACTOR.seconds() + 60
    while not holds():
        assert REACTOR.seconds() < end, "not within a minute"
        await sleep(REACTOR, 0.005)


def published(host_port: int, address: str = "0.0.0.0") -> PublishedPort:
    """Port 80 of a container."""
    return PublishedPort(HostPort(IPv4Address(address), host_port), ContainerPort(80))


def route(host_port: int, container: int, address: str = "0.0.0.0") -> Route:
    """From a host port to port 80 of a container."""
    return Route(published(host_port, address), f"172.17.0.{container}", HostPort(LOOPBACK, 32768))
