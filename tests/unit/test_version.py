"""Why a version failed, where a real engine cannot be made to show it."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tests.fakes.world import World


class FailureTests(TestCase):
    """With the fake engine."""

    async def reason(self, **env: str) -> str:
        """Why a version with this environment failed, as the history has it."""
        world = World()
        try:
            world.write_app(**env)
            daemon = world.daemon()
            daemon.start()
            await daemon.at_rest()
            self.assertEqual(daemon.outcomes(), [("start", "failed")])
            self.assertEqual(world.state(), ([], [], []))
            [record] = daemon.app.history
            self.assertTrue(world.logged(record.why))
            return record.why
        finally:
            await world.close()

    async def test_out_of_memory(self) -> None:
        # A limit of memory is not among the options yet, and the machine's own memory is not a test's to fill.
        said = await self.reason(EXIT="137", OOM="1")
        self.assertIn("app-0 failed: it exited with code 137, killed for want of memory (out of memory)", said)
        self.assertIn("its last 1 lines:\n    cannot go on: exiting with 137", said)

    async def test_never_ready(self) -> None:
        said = await self.reason(STATUS="503")
        self.assertRegex(said, r"app-0 failed: it was not ready within the status timeout of 1s, after \d+ probes")
        self.assertIn("HTTP status 503", said)
