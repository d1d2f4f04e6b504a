"""Connection after connection to hookbot, and message after message."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hanoverd.hookbot.listener import BURST, INTERVAL, Listener
from hanoverd.runtime.errors import HookbotError


class ListenerTests(SynchronousTestCase):
    """Connection after connection, with a clock and a far side of its own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts: list[Deferred[str]] = []
        self.log: list[str] = []
        self.missed = 0

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            if "hookbot" in event.get("log_namespace", ""):
                self.log.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.listener = Listener(self.clock, "ws://hook", self.connect, self.take, self.opened)
        self.listener.start()

    async def connect(self, on_open: Any, on_message: Any, on_oversize: Any) -> str:
        """One more attempt."""
        self.on_open, self.on_message, self.on_oversize = on_open, on_message, on_oversize
        attempt: Deferred[str] = Deferred()
        self.attempts.append(attempt)
        return await attempt

    def take(self, message: bytes) -> None:
        """Take a message."""
        if message != b"good":
            raise ValueError("it should be good")

    def opened(self) -> None:
        """The connection is there."""
        self.missed += 1

    def refuse(self, reason: str = "refused") -> None:
        """End the attempt that is in progress."""
        self.attempts[-1].errback(HookbotError(reason))

    def waits(self) -> float:
        """The seconds until the next attempt, for which the clock continues."""
        [call] = self.clock.getDelayedCalls()
        seconds = float(call.getTime() - self.clock.seconds())
        self.clock.advance(seconds)
        return seconds

    def test_it_tries_again_and_again_more_and_more_seldom(self) -> None:
        waits = []
        for _ in range(12):
            self.refuse()
            waits.append(self.waits())
        for wait, mean in zip(waits, [1, 2, 4, 8, 16, 32, *[60] * 6], strict=True):
            self.assertTrue(0.8 * mean <= wait <= 1.2 * mean, waits)
        self.assertEqual(len(self.attempts), 13)

    def test_only_a_connection_that_lasts_makes_it_quick_again(self) -> None:
        for seconds, is_quick in ((0, False), (9, False), (11, True)):
            for _ in range(8):
                self.refuse()
                self.waits()
            self.on_open()
            self.clock.advance(seconds)
            self.attempts[-1].callback("cut")
            self.assertEqual(self.waits() < 1.3, is_quick, seconds)

    def test_the_same_reason_is_told_once(self) -> None:
        for reason in ("refused", "refused", "refused", "HTTP status 401", "refused"):
            self.refuse(reason)
            self.waits()
        self.assertEqual(len(self.log), 3)
        self.assertIn("hookbot: no connection to ws://hook: refused; retrying", self.log[0])

    def test_it_is_told_whenever_the_connection_is_there(self) -> None:
        self.on_open()
        self.attempts[-1].callback("cut")
        self.waits()
        self.on_open()
        self.assertEqual(self.missed, 2)

    def test_a_bad_message_is_told_and_dropped(self) -> None:
        self.on_open()
        for message in (b"bad", b"good"):
            self.on_message(message)
        self.on_oversize(2_000_000)
        self.assertIn("dropped: it should be good", self.log[1])
        self.assertIn("too large (2000000 bytes)", self.log[2])
        self.assertEqual(len(self.log), 3)

    def test_of_messages_that_arrive_too_fast_the_newest_counts(self) -> None:
        self.on_open()
        del self.log[:]
        for number in range(1000):
            self.on_message(b"bad" if number != 999 else b"good")
        self.assertEqual(len(self.log), BURST)
        self.clock.advance(INTERVAL)
        self.assertEqual(
            self.log[BURST:],
            ["hookbot: 979 messages from ws://hook skipped: they arrived too fast, and the newest counts"],
        )
        self.attempts[-1].callback("cut")
        self.on_message(b"bad")
        self.assertEqual(len(self.log), BURST + 2)

    def test_messages_that_are_too_large_do_not_fill_the_log(self) -> None:
        self.on_open()
        del self.log[:]
        for _ in range(1000):
            self.on_oversize(2_000_000)
        self.assertEqual(len(self.log), BURST)
        self.clock.advance(BURST * INTERVAL)
        self.on_oversize(2_000_000)
        self.assertEqual(len(self.log), BURST + 1)

    def test_stopping_drops_the_connection_and_comes_to_an_end(self) -> None:
        for waiting in (False, True):
            if waiting:
                self.listener.start()
                self.refuse()
            self.successResultOf(Deferred.fromCoroutine(self.listener.stop()))
            self.assertEqual(self.clock.getDelayedCalls(), [])
