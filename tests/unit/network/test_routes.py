"""The routes of an app: all its ports move at once, and a change that fails is undone as a whole."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from hanoverd.network.conntrack import Conntrack
from hanoverd.network.firewall import Firewall
from hanoverd.network.relay import Relays
from hanoverd.network.route import Route
from hanoverd.network.routes import Flip, Routes
from hanoverd.network.udp_flows import UdpFlows
from hanoverd.runtime.cancellation import Outcome
from hanoverd.runtime.errors import FirewallError
from hanoverd.spec.container import ContainerSpec, Image, Recipe
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ANY_IPV4, LOOPBACK, ContainerPort, HostPort, PublishedPort
from hanoverd.versions.monitor import ContainerMonitor
from hanoverd.versions.version import Container, Created, Ready, Running
from tests.fakes import table
from tests.fakes.firewall import FakeFirewall
from tests.fakes.world import World

REACTOR: Any = reactor

WEB = PublishedPort(HostPort(ANY_IPV4, 8080), ContainerPort(80))
TO_0, TO_1 = [Route(WEB, "192.0.2.2", None)], [Route(WEB, "192.0.2.3", None)]

#: Does what it is asked for, and reports a failure all the same, once; from then on it refuses everything if "down" says so.
LYING = """\
#!/bin/sh
if [ -e {folder}/down ]; then echo "cannot go on" >&2; exit 1; fi
{python} -I -S {program} {folder}/table || exit
if [ -e {folder}/breaks ]; then /bin/mv {folder}/breaks {folder}/{then}; echo "cannot go on" >&2; exit 1; fi
"""


class FailingFirewallTests(TestCase):
    """With the programs of tests/fakes, which fail where the test wants it."""

    def setUp(self) -> None:
        """An empty table."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.fake = FakeFirewall(self.folder)
        self.firewall = Firewall(REACTOR, self.fake.environ, "app")

    def lie(self, *, then: str = "up") -> None:
        """Have the next commit be made, and be reported as failed."""
        (self.folder / "breaks").touch()
        script = LYING.format(folder=self.folder, python=sys.executable, program=table.__file__, then=then)
        (self.folder / "iptables-restore").write_text(script)

    async def test_the_rules_of_an_earlier_run_survive_a_change_that_fails(self) -> None:
        await Firewall(REACTOR, self.fake.environ, "app").route("app-0", TO_0)
        rules = self.fake.rules()
        for fail in (lambda: self.fake.fail_once("iptables-restore"), self.lie):
            fail()
            with self.assertRaises(FirewallError):
                await self.firewall.route("app-1", TO_1)
            self.assertEqual(self.fake.rules(), rules)
            self.assertIsNone(await self.firewall.repair())
            self.assertEqual(self.fake.rules(), rules)

    async def test_a_commit_that_was_made_and_reported_as_failed_is_undone(self) -> None:
        await self.firewall.route("app-0", TO_0)
        before = self.fake.rules()
        self.lie()
        with self.assertRaisesRegex(FirewallError, "iptables-restore failed: cannot go on"):
            await self.firewall.route("app-1", TO_1)
        self.assertEqual(self.fake.rules(), before)

    async def test_a_first_commit_that_was_made_and_reported_as_failed_is_undone(self) -> None:
        self.lie()
        with self.assertRaises(FirewallError):
            await self.firewall.route("app-0", TO_0)
        self.assertEqual(self.fake.rules(), [])

    async def test_what_could_not_be_undone_is_repaired_later_and_blamed_on_no_other_program(self) -> None:
        await self.firewall.route("app-0", TO_0)
        before = self.fake.rules()
        self.lie(then="down")
        with self.assertRaises(FirewallError):
            await self.firewall.route("app-1", TO_1)
        with self.assertRaises(FirewallError):
            await self.firewall.repair()
        self.assertNotEqual(self.fake.rules(), before)
        (self.folder / "down").unlink()
        self.assertIsNone(await self.firewall.repair())
        self.assertEqual(self.fake.rules(), before)

    async def test_rules_that_could_not_be_removed_are_removed_by_a_repair(self) -> None:
        await self.firewall.route("app-0", TO_0)
        self.fake.fail("iptables-restore")
        for verb in (self.firewall.clear, self.firewall.repair):
            with self.assertRaises(FirewallError):
                await verb()
        self.assertNotEqual(self.fake.rules(), [])
        self.fake.fail("iptables-restore", fails=False)
        self.assertIsNone(await self.firewall.repair())
        self.assertEqual(self.fake.rules(), [])

    async def test_the_message_says_what_to_do(self) -> None:
        for program in ("iptables-save", "iptables-restore"):
            self.fake.fail(program)
            with self.assertRaises(FirewallError) as raised:
                await self.firewall.route("app-0", [])
            self.assertIn(f"{program} failed: ", str(raised.exception))
            self.assertIn("Permission denied (you must be root)", str(raised.exception))
            self.assertIn("setcap", str(raised.exception))
            self.fake.fail(program, fails=False)


class RoutesTests(TestCase):
    """With the programs of tests/fakes, and versions that are there in name only."""

    def setUp(self) -> None:
        """Two published ports."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = FakeFirewall(Path(folder.name))
        ports = [PublishedPort(HostPort(ANY_IPV4, port), ContainerPort(to)) for port, to in ((8080, 80), (8443, 443))]
        self.firewall = Firewall(REACTOR, self.fake.environ, "app")
        conntrack, relays = Conntrack(REACTOR, self.fake.environ), Relays(REACTOR, {})
        self.routes = Routes(
            self.firewall, ports, UdpFlows(REACTOR, self.fake.environ, ports, relays), conntrack, relays
        )

    def destinations(self) -> list[str]:
        """The destinations of the rules for clients elsewhere."""
        return [rule.rpartition(" ")[2] for rule in self.fake.rules() if "-j DNAT" in rule and "-IN" in rule]

    async def flip(self, number: int, may_go_live: Callable[[], bool] = lambda: True) -> Flip | None:
        """Flip to the version of this number."""
        return await self.routes.flip(Ready(version(number)), may_go_live)

    def live(self) -> list[int]:
        """The versions that are routed to."""
        return [live.number for live in self.routes.live]

    async def test_a_flip_moves_all_ports_and_says_what_it_replaced(self) -> None:
        first = await self.flip(0)
        assert first is not None
        self.assertEqual((first.live.number, first.replaced), (0, ()))
        self.assertEqual(self.destinations(), ["192.0.2.2:80", "192.0.2.2:443"])
        second = await self.flip(1)
        assert second is not None
        self.assertEqual((second.live.number, [live.number for live in second.replaced]), (1, [0]))
        self.assertEqual((self.destinations(), self.live()), (["192.0.2.3:80", "192.0.2.3:443"], [1]))
        self.assertEqual(
            self.routes.describe(second.live), "0.0.0.0:8080 -> 192.0.2.3:80, 0.0.0.0:8443 -> 192.0.2.3:443"
        )

    async def test_a_flip_that_is_not_wanted_in_the_last_moment_changes_nothing(self) -> None:
        await self.flip(0)
        before = self.fake.rules()
        self.assertIsNone(await self.flip(1, lambda: False))
        self.assertEqual((self.fake.rules(), self.live()), (before, [0]))

    async def test_a_flip_that_fails_leaves_the_routes_as_they_were(self) -> None:
        await self.flip(0)
        before = self.fake.rules()
        self.fake.fail("iptables-restore")
        with self.assertRaises(FirewallError):
            await self.flip(1)
        self.assertEqual((self.fake.rules(), self.live()), (before, [0]))

    async def test_a_flip_ignores_cancellation(self) -> None:
        flipping = Deferred.fromCoroutine(self.flip(0))
        flipping.cancel()
        flip = await flipping
        assert flip is not None
        self.assertEqual((flip.live.number, self.live()), (0, [0]))
        self.assertEqual(self.destinations(), ["192.0.2.2:80", "192.0.2.2:443"])

    async def test_changes_are_made_one_after_another(self) -> None:
        asked: list[tuple[int, list[int]]] = []

        def wanted(number: int) -> bool:
            asked.append((number, self.live()))
            return True

        await gatherResults([Deferred.fromCoroutine(self.flip(number, partial(wanted, number))) for number in range(3)])
        self.assertEqual(asked, [(0, []), (1, [0]), (2, [1])])
        self.assertEqual(self.destinations(), ["192.0.2.4:80", "192.0.2.4:443"])

    async def test_routes_are_removed_only_if_they_are_to_the_named_version(self) -> None:
        await self.flip(1)
        await self.routes.unroute(0)
        self.assertEqual((len(self.destinations()), self.live()), (2, [1]))
        for number in (1, None):
            await self.routes.unroute(number)
            self.assertEqual((self.fake.rules(), self.live()), ([], []))

    async def test_routes_are_removed_to_whichever_version_they_are(self) -> None:
        await self.flip(1)
        await self.routes.unroute()
        self.assertEqual((self.fake.rules(), self.live()), ([], []))

    async def test_routes_that_cannot_be_removed_are_to_no_live_version_and_are_removed_by_a_repair(self) -> None:
        await self.flip(0)
        self.fake.fail("iptables-save")
        with self.assertRaises(FirewallError):
            await self.routes.unroute()
        self.assertEqual((len(self.destinations()), self.live()), (2, []))
        self.fake.fail("iptables-save", fails=False)
        self.assertIsNone(await self.routes.repair())
        self.assertEqual(self.fake.rules(), [])

    async def test_what_others_changed_is_repaired(self) -> None:
        await self.flip(0)
        before = self.fake.rules()
        await Firewall(REACTOR, self.fake.environ, "app").clear()
        self.assertEqual(await self.routes.repair(), "the chain HANOVERD-app-IN is gone")
        self.assertEqual(self.fake.rules(), before)
        self.assertIsNone(await self.routes.repair())

    async def test_a_repair_is_put_off_twice_while_a_flip_is_prepared(self) -> None:
        await self.flip(0)
        for abandons in (False, True):
            self.routes.prepare()
            await Firewall(REACTOR, self.fake.environ, "app").clear()
            if abandons:
                await self.routes.abandon()
            else:
                self.assertEqual([await self.routes.repair() for _ in range(2)], [None, None])
                self.assertEqual(self.destinations(), [])
            self.assertEqual(await self.routes.repair(), "the chain HANOVERD-app-IN is gone")
        self.assertEqual(len(self.destinations()), 2)

    async def test_rules_of_an_earlier_run_are_found_and_adopted_without_a_change(self) -> None:
        self.assertIsNone(await self.routes.routed_version())
        await Firewall(REACTOR, self.fake.environ, "app").route("app-0", TO_0)
        before = self.fake.rules()
        self.assertEqual(await self.routes.routed_version(), ("app-0", "192.0.2.2"))
        self.routes.adopt(version(0))
        self.assertEqual((self.fake.rules(), self.live()), (before, [0]))

    async def test_a_version_without_one_of_the_published_ports_is_noticed(self) -> None:
        self.assertTrue(self.routes.has_ports_of(version(0)))
        self.assertFalse(self.routes.has_ports_of(version(0, numbers=(80,))))


class FailingFlipTests(TestCase):
    """In a handover."""

    async def test_the_old_version_stays_live_and_the_new_one_is_removed(self) -> None:
        world = World()
        try:
            daemon = world.daemon()
            daemon.start()
            await daemon.live("app-0")
            world.firewall.fail("iptables-restore")
            daemon.trigger("a flip that fails")
            await daemon.at_rest()
            self.assertEqual(daemon.outcomes()[-1], ("a flip that fails", "failed"))
            self.assertEqual(world.state(), (["app-0"], ["app-0"], ["app-0"]))
            world.firewall.fail("iptables-restore", fails=False)
        finally:
            await world.close()

    async def test_a_first_version_is_removed(self) -> None:
        for program in ("iptables-save", "iptables-restore"):
            world = World()
            try:
                daemon = world.daemon()
                daemon.app.orchestrator.start()
                await daemon.at_rest()
                world.firewall.fail(program)
                daemon.trigger("a flip that fails")
                await daemon.at_rest()
                self.assertEqual(daemon.outcomes(), [("a flip that fails", "failed")])
                self.assertEqual(world.state(), ([], [], []))
                world.firewall.fail(program, fails=False)
            finally:
                await world.close()


def version(number: int, numbers: tuple[int, ...] = (80, 443)) -> Running:
    """A version, at an address of its own."""
    ports = tuple(ContainerPort(port) for port in numbers)
    recipe = Recipe(Image("sha256:1", ImageName("app"), ports), ContainerSpec())
    address = f"192.0.2.{number + 2}"
    created = Created(Container(number, f"app-{number}", f"id-{number}"), recipe, ports)
    return Running(
        created,
        address,
        (address,),
        {port: HostPort(LOOPBACK, 40000 + port.number) for port in ports},
        cast("ContainerMonitor", SimpleNamespace(exit=Outcome(Deferred()))),
    )
