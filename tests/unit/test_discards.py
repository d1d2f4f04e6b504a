"""What cannot be removed at once is held on to, and in the end given up and told."""

from __future__ import annotations

from unittest import mock

from twisted.trial.unittest import TestCase

from hanoverd import discards
from hanoverd.concurrency.cancellation import Outcome
from tests.fakes.engine import HangUp
from tests.fakes.world import World


def desert(*_: object) -> None:
    """An engine that answers nobody."""
    raise HangUp


class DiscardsTests(TestCase):
    """With the fake engine, which is away."""

    async def test_a_handover_is_not_held_up_and_the_removal_goes_on(self) -> None:
        world = World()
        try:
            await world.handovers.hand_over(0)
            world.engine.on_request = desert
            with mock.patch.object(discards, "WAIT", 0.05):
                await world.discards.discard("app-0")
            self.assertTrue(world.discards.is_pending("app-0"))
            world.engine.on_request = lambda *_: None
            await world.discards.close()
            self.assertFalse(world.discards.is_pending("app-0"))
            self.assertEqual(list(world.engine.containers), [])
        finally:
            await world.close()

    async def test_in_the_end_it_is_given_up(self) -> None:
        world = World()
        try:
            await world.handovers.hand_over(0)
            world.engine.on_request = desert
            with mock.patch.object(discards, "WAIT", 0.05):
                discarded = Outcome(world.discards.discard("app-0"))
                await world.discards.close()
                await discarded.wait()
            self.assertFalse(world.discards.is_pending("app-0"))
            world.engine.on_request = lambda *_: None
            self.assertEqual(list(world.engine.containers), ["app-0"])
        finally:
            await world.close()
