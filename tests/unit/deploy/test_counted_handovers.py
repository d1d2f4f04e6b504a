"""What is counted for the metrics is what the history has: on a fake engine and a fake firewall."""

from __future__ import annotations

from collections import Counter
from random import Random

from twisted.logger import globalLogPublisher

from hanoverd.deploy.events import CancelRequested
from hanoverd.deploy.origins import HookbotTarget
from hanoverd.deploy.targets import Rollback, Source
from hanoverd.history.record import COMMAND, OUTCOMES, PHASES, Origin
from hanoverd.logs.tally import TOTAL, Tally
from tests.fakes.world import Daemon
from tests.unit.deploy.scenario import ScenarioCase

ROOT = Origin(COMMAND, "root", 0)


class CountedTests(ScenarioCase):
    """Handovers that go live, fail, are cancelled, replaced, dropped or skipped."""

    def setUp(self) -> None:
        super().setUp()
        self.tally = Tally()
        globalLogPublisher.addObserver(self.tally)
        self.addCleanup(globalLogPublisher.removeObserver, self.tally)

    def act(self, daemon: Daemon, choice: int, number: int) -> None:
        """Trigger a handover, in one of many ways."""
        request = daemon.orchestrator.request
        match choice:
            case 0:
                self.world.break_app()
                request("hanoverd deploy", Source(), origin=ROOT)
            case 1:
                for _ in range(4):
                    HookbotTarget(daemon.orchestrator, "example/web").trigger(f"push {number}", None)
                    request("hanoverd deploy", Source(), origin=ROOT)
            case 2:
                daemon.trigger("SIGHUP")
                daemon.orchestrator.send(CancelRequested("the test"))
            case 3:
                request("hanoverd deploy", Source(), if_changed=True, origin=ROOT)
            case 4:
                request("hanoverd rollback", Rollback(None), origin=ROOT)
            case 5:
                self.world.kill(daemon.live_name or "")
            case _:
                self.world.write_app(BUILD=str(number))
                daemon.trigger("SIGHUP")

    async def test_the_counts_are_those_of_the_history(self) -> None:
        random = Random(15)
        daemon = await self.started(kept=1, restart="always")
        for number in range(30):
            self.act(daemon, random.randrange(8), number)
            await daemon.at_rest()
            self.world.write_app(BUILD=str(number))
        daemon.trigger("SIGHUP")
        await daemon.stop()
        records = list(daemon.app.history)
        expected = Counter((one.outcome, one.asked_by[0].kind) for one in records)
        self.assertEqual(self.tally.handovers, expected)
        self.assertEqual({outcome for outcome, _ in expected}, set(OUTCOMES))
        self.assertGreaterEqual(len({kind for _, kind in expected}), 3)
        self.assertEqual(sum(self.tally.phases[TOTAL].counts), len(records))
        self.assertLessEqual({TOTAL, *PHASES}, set(self.tally.phases))
        phases = Counter(phase for one in records for phase, _ in one.phases)
        self.assertEqual(
            {name: sum(found.counts) for name, found in self.tally.phases.items() if name != TOTAL}, phases
        )
