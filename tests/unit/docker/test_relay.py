"""Items from a thread, delivered in the reactor."""

from __future__ import annotations

import time
from threading import Thread, current_thread, main_thread
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hanoverd.docker.relay import MAX_IN_TRANSIT, PAUSE, Relay
from hanoverd.runtime.clock import sleep

REACTOR: Any = reactor


class RelayTests(TestCase):
    async def test_all_items_arrive_in_order_in_the_reactors_thread_and_before_the_result(self) -> None:
        taken: list[int] = []

        def take(number: int) -> None:
            assert current_thread() is main_thread()
            taken.append(number)

        relay = Relay(REACTOR, take)

        def work() -> str:
            for number in range(5 * MAX_IN_TRANSIT + 7):
                relay.send(number)
            relay.flush()
            return "result"

        working: Deferred[str] = deferToThread(work)
        self.assertEqual(await working, "result")
        self.assertEqual(taken, list(range(5 * MAX_IN_TRANSIT + 7)))

    async def test_an_item_that_cannot_be_taken_does_not_cost_the_others(self) -> None:
        taken: list[int] = []

        def take(number: int) -> None:
            taken.append(10 // number)

        relay = Relay(REACTOR, take)

        def work() -> None:
            for number in (1, 0, 2, 0, 5):
                relay.send(number)
            relay.flush()

        # The reactor does not turn before all are sent.
        thread = Thread(target=work)
        thread.start()
        thread.join()
        while len(taken) < 3:
            await sleep(REACTOR, 0.001)
        self.assertEqual(taken, [10, 5, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_a_single_item_arrives_at_once(self) -> None:
        arrived: Deferred[str] = Deferred()
        relay = Relay(REACTOR, arrived.callback)
        begun = time.monotonic()
        Thread(target=relay.send, args=["one"]).start()
        self.assertEqual(await arrived, "one")
        self.assertLess(time.monotonic() - begun, 30)

    async def test_a_thread_that_is_faster_than_the_reactor_waits(self) -> None:
        sent: list[int] = []
        relay: Relay[int] = Relay(REACTOR, lambda _: None)

        def work() -> None:
            for number in range(3 * MAX_IN_TRANSIT):
                relay.send(number)
                sent.append(number)

        thread = Thread(target=work)
        begun = time.monotonic()
        thread.start()
        # The reactor does not turn meanwhile.
        while len(sent) < MAX_IN_TRANSIT:
            time.sleep(0.001)
        thread.join(0.05)
        self.assertEqual(len(sent), MAX_IN_TRANSIT)
        while thread.is_alive():
            await sleep(REACTOR, 0.001)
        self.assertGreater(time.monotonic() - begun, PAUSE)
        self.assertEqual(len(sent), 3 * MAX_IN_TRANSIT)
        relay.flush()
        await sleep(REACTOR, 2 * PAUSE)
