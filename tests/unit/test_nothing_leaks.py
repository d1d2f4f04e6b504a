"""Cancelled, or deserted by its engine, at any point whatever, a handover leaves nothing behind and harms nothing.

The engine and the firewall are fakes, so that every point can be hit; all else is real: docker-py, the threads, the
processes, the HTTP probes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from hanoverd.concurrency.cancellation import Outcome
from hanoverd.discards import Discards
from hanoverd.errors import HanoverdError
from hanoverd.version import Live
from tests.fakes.engine import HangUp
from tests.fakes.world import REACTOR, World

#: More requests, or awaits, than a handover has.
MANY = 60

BEFORE, AFTER = "before", "after"


class AtEveryRequest(TestCase):
    """One cancel, at the k-th request that the engine gets, for every k: before it acts on it, and after."""

    async def test_of_a_first_handover(self) -> None:
        await self.cancel_everywhere(overlap=True, live=False)

    async def test_of_a_second_handover(self) -> None:
        await self.cancel_everywhere(overlap=True, live=True)

    async def test_of_a_second_handover_without_overlap(self) -> None:
        await self.cancel_everywhere(overlap=False, live=True)

    async def test_and_at_every_request_that_follows(self) -> None:
        await self.cancel_everywhere(overlap=True, live=True, again=True)

    async def test_and_at_every_request_that_follows_without_overlap(self) -> None:
        await self.cancel_everywhere(overlap=False, live=True, again=True)

    async def cancel_everywhere(self, *, overlap: bool, live: bool, again: bool = False) -> None:
        """For every k."""
        for phase in (BEFORE, AFTER):
            outcomes = []
            for k in range(MANY):
                world = World(overlap=overlap)
                try:
                    hit = await self.cancel_at(world, k, phase, live=live, again=again)
                finally:
                    await world.close()
                if hit is None:
                    break
                outcomes.append(hit)
            # Nearly all came before the flip; the rest were too late, for which there is no harm either.
            self.assertGreaterEqual(outcomes.count(True), 7)

    async def cancel_at(self, world: World, k: int, phase: str, *, live: bool, again: bool) -> bool | None:
        """Whether the handover was cancelled; None if it had fewer requests."""
        if live:
            await world.handovers.hand_over(0)
        number, first = int(live), len(world.engine.requests) + k
        hit: list[int] = []

        def on_request(this: int, when: str, _what: str) -> None:
            if (this == first or (again and this > first)) and when == phase and not outcome.is_over:
                hit.append(this)
                blockingCallFromThread(REACTOR, handover.cancel)

        handover = Deferred.fromCoroutine(world.handovers.hand_over(number))
        outcome = Outcome(handover)
        world.engine.on_request = on_request
        await outcome.wait()
        world.engine.on_request = lambda *_: None
        cancelled = check(self, world, outcome, number, (CancelledError,))
        return cancelled if hit else None


class AtEveryAwait(TestCase):
    """One cancel, or two, at every point at which the story waits for something."""

    async def test_once(self) -> None:
        for overlap in (True, False):
            await self.cancel_everywhere(overlap=overlap, times=1)

    async def test_twice(self) -> None:
        for overlap in (True, False):
            await self.cancel_everywhere(overlap=overlap, times=2)

    async def cancel_everywhere(self, *, overlap: bool, times: int) -> None:
        """For every await."""
        cancelled = 0
        for k in range(MANY):
            world = World(overlap=overlap)
            try:
                await world.handovers.hand_over(0)
                awaits = Awaits(cancel=range(k, k + times))
                outcome = Outcome(Deferred.fromCoroutine(awaits.watch(world.handovers.hand_over(1))))
                await outcome.wait()
                cancelled += check(self, world, outcome, 1, (CancelledError,))
            finally:
                await world.close()
            if awaits.seen <= k:
                break
        self.assertGreaterEqual(cancelled, 5)


class Awaits:
    """Counts the awaits of a coroutine, and cancels those whose number is in ``cancel``."""

    def __init__(self, cancel: range) -> None:
        self.seen = 0
        self._cancel = cancel

    def watch(self, coroutine: Coroutine[Deferred[Any], Any, Live]) -> Coroutine[Deferred[Any], Any, Live]:
        """Does what ``coroutine`` does."""
        return self._watch(coroutine)  # type: ignore[return-value]  # types.coroutine is typed as an Awaitable

    @types.coroutine
    def _watch(self, coroutine: Coroutine[Deferred[Any], Any, Live]) -> Generator[Deferred[Any], Any, Live]:
        step: Callable[[], Deferred[Any]] = lambda: coroutine.send(None)
        while True:
            try:
                awaited = step()
            except StopIteration as end:
                result: Live = end.value
                return result
            if self.seen in self._cancel:
                REACTOR.callLater(0, awaited.cancel)
            self.seen += 1
            step = yield from _resumed(awaited, coroutine)


def _resumed(
    awaited: Deferred[Any], coroutine: Coroutine[Deferred[Any], Any, Live]
) -> Generator[Deferred[Any], Any, Callable[[], Deferred[Any]]]:
    try:
        value = yield awaited
    except BaseException as error:
        thrown = error
        return lambda: coroutine.throw(thrown)
    return lambda: coroutine.send(value)


class DesertedTests(TestCase):
    """The engine hangs up at the k-th request, and is away for a moment."""

    async def test_before_it_acts(self) -> None:
        await self.desert_everywhere(BEFORE)

    async def test_after_it_acted(self) -> None:
        await self.desert_everywhere(AFTER)

    async def desert_everywhere(self, phase: str) -> None:
        """For every k."""
        failed = 0
        for k in range(MANY):
            world = World()
            try:
                await world.handovers.hand_over(0)
                first = len(world.engine.requests) + k
                hit: list[int] = []

                def on_request(this: int, when: str, _what: str, first: int = first, hit: list[int] = hit) -> None:
                    if first <= this < first + 3 and when == phase:
                        hit.append(this)
                        raise HangUp

                world.engine.on_request = on_request
                outcome = Outcome(Deferred.fromCoroutine(world.handovers.hand_over(1)))
                await outcome.wait()
                world.engine.on_request = lambda *_: None
                failed += check(self, world, outcome, 1, (HanoverdError,))
            finally:
                await world.close()
            if not hit:
                break
        self.assertGreaterEqual(failed, 6)


class NewerTriggerTests(TestCase):
    """A trigger at the k-th request: the newer handover runs to its end, and the daemon stops without a trace."""

    async def test_one_more_version_is_live_and_nothing_is_left(self) -> None:
        for k in range(1, MANY):
            world = World()
            try:
                world.supervisor.start()
                world.supervisor.trigger("start")
                await until(lambda world=world: world.leads_to == ["app-0"])  # type: ignore[misc]
                first = len(world.engine.requests) + k
                hit: list[int] = []

                def on_request(
                    this: int, when: str, _what: str, world: World = world, first: int = first, hit: list[int] = hit
                ) -> None:
                    if this == first and when == AFTER:
                        hit.append(this)
                        REACTOR.callFromThread(world.supervisor.trigger, "a newer one")

                world.engine.on_request = on_request
                world.supervisor.trigger("an older one")
                await until(lambda world=world: world.leads_to in (["app-1"], ["app-2"]))  # type: ignore[misc]
                if hit and world.leads_to == ["app-1"] and first > len(world.engine.requests) - 4:
                    # It came when the older one was live already: a handover of its own.
                    await until(lambda world=world: world.leads_to == ["app-2"])  # type: ignore[misc]
                await until(lambda world=world: sorted(world.engine.containers) == world.leads_to)  # type: ignore[misc]
                self.assertEqual(world.engine.running(), world.leads_to)
                await world.supervisor.stop()
                self.assertEqual(world.state(), ([], [], []))
            finally:
                await world.close()
            if not hit:
                break
        self.assertGreaterEqual(k, 8)

    async def test_stopping_at_every_request(self) -> None:
        for k in range(1, MANY):
            world = World()
            try:
                hit: list[int] = []
                stopped: Deferred[None] = Deferred()

                def on_request(
                    this: int,
                    when: str,
                    _what: str,
                    world: World = world,
                    k: int = k,
                    hit: list[int] = hit,
                    stopped: Deferred[None] = stopped,
                ) -> None:
                    if this == k and when == AFTER:
                        hit.append(this)
                        REACTOR.callFromThread(
                            lambda: Deferred.fromCoroutine(world.supervisor.stop()).chainDeferred(stopped)
                        )

                world.engine.on_request = on_request
                world.supervisor.start()
                world.supervisor.trigger("start")
                await until(lambda world=world, hit=hit: hit or world.leads_to)  # type: ignore[misc]
                if not hit:
                    await world.supervisor.stop()
                else:
                    await stopped
                self.assertEqual(world.state(), ([], [], []))
            finally:
                await world.close()
            if not hit:
                break
        self.assertGreaterEqual(k, 8)


class TheCheckItself(TestCase):
    """Without the clean-up that it is about, the check fails."""

    async def test_it_sees_a_container_that_is_left(self) -> None:
        with mock.patch.object(Discards, "discard", lambda *_: Deferred().callback(None) or succeed()):
            world = World()
            try:
                with self.assertRaises(AssertionError):
                    await AtEveryRequest.cancel_at(self, world, 4, AFTER, live=False, again=False)  # type: ignore[arg-type]
            finally:
                await world.close()


def succeed() -> Deferred[None]:
    """A Deferred that has fired."""
    fired: Deferred[None] = Deferred()
    fired.callback(None)
    return fired


def check(case: TestCase, world: World, outcome: Outcome[Live], number: int, kinds: tuple[type[Exception], ...]) -> bool:
    """Whether version ``number`` failed, as it may with ``kinds``; either way all must be as it should be."""
    old = [f"app-{number - 1}"] if number else []
    try:
        live = outcome.get()
    except kinds:
        case.assertEqual(world.state(), (old, old, old))
        return True
    new = [live.name]
    # The one before is the supervisor's to retire, or was stopped.
    case.assertEqual((world.state()[0], world.leads_to), ([*old, *new], new))
    case.assertIn(live.name, world.engine.running())
    return False


async def until(holds: Callable[[], object]) -> None:
    """Wait for it, turn by turn of the reactor."""
    for _ in range(2000):
        if holds():
            return
        turn: Deferred[None] = Deferred()
        REACTOR.callLater(0.005, turn.callback, None)
        await turn
    raise AssertionError("not within 10 seconds")
