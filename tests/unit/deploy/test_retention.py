"""What is kept to be rolled back to, and what is removed."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

from hanoverd.deploy.effects import TimerKind
from hanoverd.deploy.targets import Rollback
from hanoverd.runtime.errors import NothingKept
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from hanoverd.versions.version import Running
from tests.fakes.engine import HangUp
from tests.fakes.world import Daemon, World, until
from tests.lab.events import contains


class RetentionTests(TestCase):
    """On a fake engine, whose containers are called app-N."""

    async def test_the_last_ones_that_differ(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 2, "a", "b", "c", "c", "b", "d")
            # Of b the newer one; of c too.
            self.assertEqual(kept(daemon), [4, 3])
            self.assertEqual(sorted(world.engine.containers), ["app-3-kept", "app-4-kept", "app-5"])
            # By name and by ID.
            self.assertEqual(len([name for name in world.engine.images if name.startswith("sha256:")]), 3)
        finally:
            await world.close()

    async def test_a_version_that_is_the_same_as_the_live_one_is_not_kept(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", "b")
            self.assertEqual(kept(daemon), [0])
        finally:
            await world.close()

    async def test_it_is_kept_if_another_one_was_live_in_between(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", "a")
            self.assertEqual(kept(daemon), [1, 0])
        finally:
            await world.close()

    async def test_each_rollback_goes_further_back(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", "c")
            for build, name in (("BUILD=b", "app-1"), ("BUILD=a", "app-0")):
                await self.roll_back(daemon)
                self.assertIn(build, built(world, live(daemon)))
                self.assertEqual(list(daemon.app.history)[-1].rollback_to, name)
            # C is kept, too, and can be named.
            self.assertEqual(kept(daemon), [3, 2])
            daemon.orchestrator.request("rollback", Rollback())
            await at_rest(daemon)
            self.assertTrue(world.has_logged("failed", error=contains("Kept versions: app-3, app-2")))
        finally:
            await world.close()

    async def test_a_rollback_after_a_rollback_and_a_deploy_undoes_the_deploy(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", "c")
            await self.roll_back(daemon)
            await deploy(daemon, "d")
            for build in ("BUILD=b", "BUILD=a"):
                await self.roll_back(daemon)
                self.assertIn(build, built(world, live(daemon)))
        finally:
            await world.close()

    async def test_it_goes_further_back_in_the_next_hanoverd_too(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", "c", keep=True)
            await self.roll_back(daemon)
            await daemon.stop()
            daemon = world.daemon(kept=3)
            daemon.app.start()
            await daemon.at_rest()
            self.assertEqual(daemon.live_name, "app-3")
            lineage = live(daemon).created.recipe.lineage
            self.assertEqual((lineage.origin, lineage.is_rollback, lineage.predecessors), (1, True, (0,)))
            await self.roll_back(daemon)
            self.assertIn("BUILD=a", built(world, live(daemon)))
        finally:
            await world.close()

    async def test_a_version_that_was_restarted_is_rolled_back_from_as_before(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", restart="always")
            world.kill("app-1")
            await daemon.live("app-2")
            await at_rest(daemon)
            self.assertEqual(live(daemon).created.recipe.lineage.origin, 1)
            await self.roll_back(daemon)
            self.assertIn("BUILD=a", built(world, live(daemon)))
        finally:
            await world.close()

    async def roll_back(self, daemon: Daemon) -> None:
        """Roll back to the version before."""
        daemon.orchestrator.request("rollback", Rollback())
        await at_rest(daemon)
        self.assertEqual(daemon.outcomes()[-1], ("rollback", "live"))

    async def test_a_rollback_is_to_the_version_before_or_to_one_by_its_number(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a", "b", "c")
            for target, build in ((Rollback(), "BUILD=b"), (Rollback(0), "BUILD=a")):
                daemon.orchestrator.request("rollback", target)
                await at_rest(daemon)
                self.assertEqual(daemon.outcomes()[-1], ("rollback", "live"))
                self.assertIn(build, built(world, live(daemon)))
            with self.assertRaisesRegex(NothingKept, r"version app-9 is not kept. Kept versions: app-3, app-2 "):
                await daemon.app.retention.rollback_recipe(9)
        finally:
            await world.close()

    async def test_a_rollback_to_what_is_not_kept_fails_and_changes_nothing(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 3, "a")
            daemon.orchestrator.request("rollback", Rollback())
            await at_rest(daemon)
            self.assertEqual(daemon.outcomes()[-1], ("rollback", "failed"))
            self.assertTrue(world.has_logged("failed", error=contains("Kept versions: none")))
            self.assertEqual(world.state(), (["app-0"], ["app-0"], ["app-0"]))
        finally:
            await world.close()

    async def test_a_version_that_still_drains_is_gone_back_to_as_well(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 1, "a", "b", drain=600.0)
            world.keep_busy()
            world.write_app(BUILD="c")
            daemon.trigger("c")
            await daemon.live("app-2")
            self.assertEqual(kept(daemon), [1, 0])
            await self.assert_goes_back_to_b(daemon)
            daemon.app.retirement.end_drain(1)
            await at_rest(daemon)
            # The older one has given way to it.
            self.assertEqual(kept(daemon), [1])
            await self.assert_goes_back_to_b(daemon)
        finally:
            await world.close()

    async def assert_goes_back_to_b(self, daemon: Daemon) -> None:
        recipe = await daemon.app.retention.rollback_recipe(None)
        self.assertEqual(daemon.world.engine.images[recipe.image.id].env["BUILD"], "b")

    async def test_without_kept_versions_none_is_gone_back_to_though_it_still_drains(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 0, "a", drain=600.0)
            world.keep_busy()
            world.write_app(BUILD="b")
            daemon.trigger("b")
            await daemon.live("app-1")
            self.assertEqual([running.name for running in daemon.app.draining()], ["app-0"])
            self.assertEqual(kept(daemon), [])
            with self.assertRaises(NothingKept):
                await daemon.app.retention.rollback_recipe(None)
        finally:
            await world.close()

    async def test_images_that_are_not_ours_stay(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 0, "a", "b")
            ours = [name for name in world.engine.images if name.startswith("sha256:")]
            self.assertEqual(ours, [live(daemon).created.image.id])
            add_image(world, "sha256:other")
            for obtained in (False, True):
                daemon.app.retention.mark_unused(Image("sha256:other", ImageName("x"), (), obtained=obtained))
                await daemon.app.retention.prune()
                self.assertEqual("sha256:other" in world.engine.images, not obtained)
        finally:
            await world.close()

    async def test_no_image_is_removed_while_one_is_obtained(self) -> None:
        world = World()
        try:
            daemon = await versions(world, 0, "a")
            add_image(world, "sha256:old")
            retention = daemon.app.retention
            retention.mark_unused(Image("sha256:old", ImageName("x"), (), obtained=True))
            async with retention.obtaining():
                await retention.prune()
                self.assertIn("sha256:old", world.engine.images)
            await retention.prune()
            self.assertNotIn("sha256:old", world.engine.images)
        finally:
            await world.close()

    async def test_an_engine_that_is_away_is_no_failure(self) -> None:
        def hang_up(*_: object) -> None:
            raise HangUp

        world = World()
        try:
            daemon = await versions(world, 1, "a")
            world.engine.on_request = hang_up
            await daemon.app.retention.prune()
            world.engine.on_request = lambda *_: None
            self.assertTrue(world.has_logged("tidy_failed"))
        finally:
            await world.close()

    async def test_what_could_not_be_removed_is_removed_later(self) -> None:
        def hang_up(_number: int, phase: str, what: str) -> None:
            if phase == "before" and what == "GET /containers/json":
                refused.append(what)
                raise HangUp

        refused: list[str] = []
        world = World()
        try:
            daemon = await versions(world, 1, "a", "b")
            world.engine.on_request = hang_up
            world.write_app(BUILD="c")
            daemon.trigger("c")
            await daemon.live("app-2")
            await at_rest(daemon)
            self.assertTrue(refused)
            self.assertEqual(sorted(world.engine.containers), ["app-0-kept", "app-1-kept", "app-2"])
            world.engine.on_request = lambda *_: None
            daemon.orchestrator._timers[TimerKind.PRUNE, 0].reset(0)
            await until(lambda: world.has_logged("pruned", version="app-0"))
            await at_rest(daemon)
            self.assertEqual((kept(daemon), sorted(world.engine.containers)), ([1], ["app-1-kept", "app-2"]))
        finally:
            await world.close()


async def versions(world: World, most: int, *builds: str, **options: Any) -> Daemon:
    """A version of each build was live, one after another; the last one is."""
    daemon = world.daemon(kept=most, **options)
    daemon.app.start()
    for build in builds:
        await deploy(daemon, build)
    return daemon


async def deploy(daemon: Daemon, build: str) -> None:
    """Deploy a build."""
    daemon.world.write_app(BUILD=build)
    daemon.trigger(build)
    await at_rest(daemon)


async def at_rest(daemon: Daemon) -> None:
    """Wait until nothing is in progress, and nothing is about to start."""
    await daemon.at_rest()
    await until(lambda: not len(daemon.orchestrator._tasks))


def live(daemon: Daemon) -> Running:
    """The live version."""
    [running] = daemon.app.live()
    return running


def kept(daemon: Daemon) -> list[int]:
    """The versions that can be rolled back to."""
    return [one.number for one in daemon.app.retention.kept()]


def built(world: World, running: Running) -> list[str]:
    """The environment of a version's image."""
    return [f"{name}={value}" for name, value in world.engine.images[running.created.image.id].env.items()]


def add_image(world: World, image_id: str) -> None:
    """An image that no build has made."""
    image = next(iter(world.engine.images.values()))
    world.engine.images[image_id] = type(image)(image_id, {}, ())
