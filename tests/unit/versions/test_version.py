"""Why a version failed, where a real engine cannot be made to show it."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from hanoverd.versions.monitor import LAST_OUTPUT_WITHIN
from tests.fakes.world import PORT, REACTOR, World
from tests.lab.events import contains


class LookingAwayTests(TestCase):
    """With the fake engine."""

    async def test_a_stop_that_leaves_the_live_version_does_not_wait_for_its_output(self) -> None:
        world = World()
        try:
            daemon = world.daemon(keep=True)
            daemon.start()
            await daemon.live("app-0")
            begun = REACTOR.seconds()
            await daemon.stop()
            self.assertLess(REACTOR.seconds() - begun, LAST_OUTPUT_WITHIN)
            self.assertEqual(world.state(), (["app-0"], ["app-0"], ["app-0"]))
        finally:
            await world.close()

    async def test_taking_over_does_not_wait_for_the_output_of_a_version_that_is_not_ready(self) -> None:
        world = World()
        try:
            earlier = world.daemon(keep=True)
            earlier.start()
            await earlier.live("app-0")
            await earlier.stop()
            # It lacks a port, and serves until the first flip.
            daemon = world.daemon(ports=(PORT, PORT + 1))
            begun = REACTOR.seconds()
            daemon.app.start()
            await daemon.live("app-0")
            self.assertLess(REACTOR.seconds() - begun, LAST_OUTPUT_WITHIN)
            self.assertTrue(world.has_logged("adopted_unready", error=contains("ports")))
        finally:
            await world.close()


class FailureTests(TestCase):
    """With the fake engine."""

    async def reason(self, **env: str) -> str:
        """Why a version with this environment failed, as the history has it."""
        world = World()
        try:
            world.write_app(**env)
            daemon = world.daemon(status_timeout=1.0)
            daemon.start()
            await daemon.at_rest()
            self.assertEqual(daemon.outcomes(), [("start", "failed")])
            self.assertEqual(world.state(), ([], [], []))
            [record] = daemon.app.history
            self.assertTrue(world.has_logged("failed", error=record.why))
            return record.why
        finally:
            await world.close()

    async def test_out_of_memory(self) -> None:
        # A limit of memory is not among the options yet, and the machine's own memory is not a test's to fill.
        said = await self.reason(EXIT="137", OOM="1")
        self.assertIn(
            "exited with code 137 (out of memory: raise its memory limit, or reduce its memory use) before it", said
        )
        self.assertIn("its last line:\n    cannot continue: exiting with 137", said)

    async def test_never_ready(self) -> None:
        said = await self.reason(STATUS="503")
        self.assertRegex(said, r"not ready within the status timeout of 1s, after \d+ probes")
        self.assertIn("HTTP status 503", said)
