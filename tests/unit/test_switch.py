"""A flip that fails is undone as a whole."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.edges.firewall import Firewall
from hanoverd.errors import FirewallError, HanoverdError
from hanoverd.model.rules import Route
from tests.fakes.firewall import FakeFirewall
from tests.fakes.world import World

REACTOR: Any = reactor


class FailingFirewallTests(TestCase):
    """With the programs of tests/fakes, which refuse when they are told to."""

    def setUp(self) -> None:
        """An empty table."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = FakeFirewall(Path(folder.name))
        self.firewall = Firewall(REACTOR, self.fake.environ, "app")

    async def test_what_was_in_force_is_put_back_when_only_half_of_a_flip_is_done(self) -> None:
        await self.firewall.lead("app-0", [Route(None, 8080, "172.17.0.2", 80, None)])
        before = self.fake.rules()
        # The new rules are in by the time at which the jumps are looked at.
        self.fake.fail("iptables-save")
        with self.assertRaises(FirewallError):
            await self.firewall.lead("app-1", [Route(None, 8080, "172.17.0.3", 80, None)])
        self.assertEqual(self.fake.rules(), before)

    async def test_the_message_says_what_to_do(self) -> None:
        self.fake.fail("iptables-save")
        with self.assertRaises(FirewallError) as raised:
            await self.firewall.lead("app-0", [])
        self.assertIn("iptables-save failed: ", str(raised.exception))
        self.assertIn("Permission denied (you must be root)", str(raised.exception))
        self.assertIn("setcap", str(raised.exception))


class FailingFlipTests(TestCase):
    """In a handover."""

    async def test_the_old_version_goes_on_and_the_new_one_is_removed(self) -> None:
        for program in ("iptables-save", "iptables-restore"):
            world = World()
            try:
                await world.handovers.hand_over(0)
                world.firewall.fail(program)
                with self.assertRaises(HanoverdError):
                    await world.handovers.hand_over(1)
                self.assertEqual(world.state(), (["app-0"], ["app-0"], ["app-0"]))
                world.firewall.fail(program, fails=False)
            finally:
                await world.close()
