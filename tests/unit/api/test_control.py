"""What the control API asks of an app."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hanoverd.api.control import Control
from hanoverd.deploy.app import App
from hanoverd.deploy.history import History
from hanoverd.history.record import LIVE


class EndedTests(TestCase):
    """Waits for the end of a handover."""

    def setUp(self) -> None:
        self.history = History(lambda: 0.0, lambda: 0.0)
        self.record = self.history.start(["start"])
        app: Any = SimpleNamespace(orchestrator=None, history=self.history)
        self.control = Control(cast("App", app))

    def test_a_wait_ends_with_the_handover(self) -> None:
        waits = [Deferred.fromCoroutine(self.control.ended(self.record.id)) for _ in range(3)]
        self.history.finish(self.history.start(["another"]), LIVE)
        for wait in waits:
            self.assertNoResult(wait)
        self.history.finish(self.record, LIVE)
        self.assertEqual([self.successResultOf(wait) for wait in waits], [self.record] * 3)

    def test_a_wait_that_was_cancelled_is_forgotten_at_once(self) -> None:
        # A client that connects again and again must not fill the memory while one handover is in progress.
        for _ in range(1000):
            wait = Deferred.fromCoroutine(self.control.ended(self.record.id))
            wait.addErrback(lambda _: None)
            wait.cancel()
        self.assertEqual(self.history._waiting, [])
        self.history.finish(self.record, LIVE)


class ConnectionsTests(TestCase):
    """Counts the open connections."""

    def test_a_count_that_is_cancelled_ends_as_cancelled(self) -> None:
        # Otherwise a scrape that is given up would be logged as an internal error.
        async def count(_addresses: object) -> int:
            await Deferred()
            return 0

        app: Any = SimpleNamespace(
            orchestrator=None,
            history=None,
            live=list,
            draining=list,
            conntrack=SimpleNamespace(count_lately=count),
        )
        counting = Deferred.fromCoroutine(Control(cast("App", app)).connections())
        self.assertNoResult(counting)
        counting.cancel()
        self.failureResultOf(counting, CancelledError)
