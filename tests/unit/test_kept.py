"""What is kept to be gone back to, and what is removed."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hanoverd.errors import NothingKept
from hanoverd.model.container import Image
from hanoverd.model.images import ImageName
from hanoverd.model.wishes import Earlier
from tests.fakes.world import World


class KeeperTests(TestCase):
    """On a fake engine, whose containers are called app-N."""

    async def versions(self, world: World, *builds: str) -> None:
        """A version of each build was live, one after another; the last one is."""
        for number, build in enumerate(builds):
            world.write_app(BUILD=build)
            old = world.switch.live
            live = await world.handovers.hand_over(number)
            if old is not None:
                await world.versions.stop(old.name)
                if not await world.keeper.keep(old.name):
                    await world.versions.remove(old.name)
            await world.keeper.tidy(live)

    async def test_the_last_ones_that_differ(self) -> None:
        world = World(kept=2)
        try:
            await self.versions(world, "a", "b", "c", "c", "b", "d")
            # Of b the newer one; of c too.
            self.assertEqual([kept.generation for kept in world.keeper.kept], [4, 3])
            self.assertEqual(sorted(world.engine.containers), ["app-3-kept", "app-4-kept", "app-5"])
            # By name and by ID.
            self.assertEqual(len([name for name in world.engine.images if name.startswith("sha256:")]), 3)
        finally:
            await world.close()

    async def test_what_is_the_same_as_the_live_one_is_not_kept(self) -> None:
        world = World(kept=3)
        try:
            await self.versions(world, "a", "b", "a")
            self.assertEqual([kept.generation for kept in world.keeper.kept], [1])
        finally:
            await world.close()

    async def test_back_to_one(self) -> None:
        world = World(kept=3)
        try:
            await self.versions(world, "a", "b", "c")
            live = await world.handovers.hand_over(3, Earlier())
            self.assertIn("BUILD=b", live.running.created.recipe.options.env)
            live = await world.handovers.hand_over(4, Earlier(0))
            self.assertIn("BUILD=a", live.running.created.recipe.options.env)
            await world.versions.remove("app-3")
            with self.assertRaisesRegex(NothingKept, r"no version 9 to go back to; kept are: 1 \(.*\), 0 \("):
                await world.keeper.recipe(9, live)
        finally:
            await world.close()

    async def test_one_that_still_finishes_is_gone_back_to_as_well(self) -> None:
        world = World(kept=1)
        try:
            await self.versions(world, "a", "b")
            old = world.switch.live
            assert old is not None
            world.write_app(BUILD="c")
            live = await world.handovers.hand_over(2)
            world.keeper.leaves(old, live)
            recipe = await world.keeper.recipe(None, live)
            self.assertIn("BUILD=b", recipe.options.env)
            self.assertEqual([kept.generation for kept in world.keeper.kept], [1, 0])
            world.keeper.gone(old.name)
            recipe = await world.keeper.recipe(None, live)
            self.assertIn("BUILD=a", recipe.options.env)
        finally:
            await world.close()

    async def test_images_that_are_not_ours_stay(self) -> None:
        world = World(kept=0)
        try:
            await self.versions(world, "a", "b")
            live = world.switch.live
            assert live is not None
            ours = [name for name in world.engine.images if name.startswith("sha256:")]
            self.assertEqual(ours, [live.running.created.image.id])
            image = next(iter(world.engine.images.values()))
            world.engine.images["sha256:other"] = type(image)("sha256:other", {}, ())
            for obtained in (False, True):
                world.keeper.pass_over(Image("sha256:other", ImageName("x"), (), obtained=obtained))
                await world.keeper.tidy(live)
                self.assertEqual("sha256:other" in world.engine.images, not obtained)
        finally:
            await world.close()

    async def test_no_image_is_removed_while_one_is_obtained(self) -> None:
        world = World(kept=0)
        try:
            await self.versions(world, "a")
            live = world.switch.live
            assert live is not None
            image = next(iter(world.engine.images.values()))
            world.engine.images["sha256:old"] = type(image)("sha256:old", {}, ())
            world.keeper.pass_over(Image("sha256:old", ImageName("x"), (), obtained=True))
            for is_obtaining in (True, False):
                world.keeper.is_obtaining = is_obtaining
                await world.keeper.tidy(live)
                self.assertEqual("sha256:old" in world.engine.images, is_obtaining)
        finally:
            await world.close()

    async def test_an_engine_that_is_away_is_no_failure(self) -> None:
        world = World(kept=1)
        try:
            await self.versions(world, "a")
            live = world.switch.live
            assert live is not None
            world.engine.stop()
            await Deferred.fromCoroutine(world.keeper.tidy(live))
        finally:
            world.engine.start()
            await world.close()
