"""Cancelled, or deserted by its engine, at any point whatever, a handover leaves nothing behind and harms nothing.

The engine and the firewall are fakes, so that every point can be hit; all else is real: docker-py, the threads, the
processes, the HTTP probes.
"""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from hanoverd.concurrency.cancellation import Outcome
from hanoverd.concurrency.polling import pause
from hanoverd.discards import Discards
from hanoverd.errors import HanoverdError
from hanoverd.version import Live
from tests.fakes.engine import HangUp
from tests.fakes.world import REACTOR, World

#: More requests, or awaits, than a handover has.
MANY = 60

BEFORE, AFTER = "before", "after"

#: The requests of a handover up to the one that starts the container, when the engine's version is known: build,
#: inspect the image, create.
STARTED = 3

#: The second version is live, and alone.
IN_ORDER = (["app-1"], ["app-1"], ["app-1"])


class AtEveryRequest(TestCase):
    """One cancel, at the k-th request that the engine gets, for every k: before it acts on it, and after."""

    #: How many requests the last handover made.
    requests = 0

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
            cancelled = 0
            for k in range(MANY):
                world = World(overlap=overlap)
                try:
                    cancelled += await self.cancel_at(world, k, phase, live=live, again=again)
                finally:
                    await world.close()
                if k >= self.requests:
                    break
            # All to the start at least; what comes too late must do no harm either.
            self.assertGreaterEqual(cancelled, 5)

    async def cancel_at(self, world: World, k: int, phase: str, *, live: bool, again: bool) -> bool:
        """Whether the handover was cancelled."""
        if live:
            await world.handovers.hand_over(0)
        begun = len(world.engine.requests)

        def on_request(this: int, when: str, _what: str) -> None:
            if (this == begun + k or (again and this > begun + k)) and when == phase and not outcome.is_over:
                blockingCallFromThread(REACTOR, handover.cancel)
                if phase == BEFORE:
                    # A busy engine: it acts on what it was asked only when we might think that it never will.
                    time.sleep(0.02)

        handover = Deferred.fromCoroutine(world.handovers.hand_over(int(live)))
        outcome = Outcome(handover)
        world.engine.on_request = on_request
        await outcome.wait()
        world.engine.on_request = lambda *_: None
        self.requests = len(world.engine.requests) - begun
        return check(self, world, outcome, int(live), (CancelledError,))


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
        # Build, create, start, poll.
        self.assertGreaterEqual(cancelled, 4)


class Awaits:
    """Counts the awaits of a coroutine, and cancels those whose number is in ``cancel``."""

    def __init__(self, cancel: range) -> None:
        self.seen = 0
        self._cancel = cancel

    async def watch(self, coroutine: Coroutine[Deferred[Any], Any, Live]) -> Live:
        """Does what ``coroutine`` does."""
        return await self._watch(coroutine)

    @types.coroutine
    def _watch(self, coroutine: Coroutine[Deferred[Any], Any, Live]) -> Generator[Deferred[Any], Any, Live]:
        step: Callable[[], Deferred[Any]] = partial(coroutine.send, None)
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
        return partial(coroutine.throw, thrown)
    return partial(coroutine.send, value)


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
                begun = len(world.engine.requests)

                def on_request(this: int, when: str, _what: str, first: int = begun + k) -> None:
                    if first <= this < first + 3 and when == phase:
                        raise HangUp

                world.engine.on_request = on_request
                outcome = Outcome(Deferred.fromCoroutine(world.handovers.hand_over(1)))
                await outcome.wait()
                world.engine.on_request = lambda *_: None
                failed += check(self, world, outcome, 1, (HanoverdError,))
                made = len(world.engine.requests) - begun
            finally:
                await world.close()
            if k >= made:
                break
        self.assertGreaterEqual(failed, 5)


class WithTheSupervisor(TestCase):
    """Something happens at the k-th request after the start, for every k."""

    async def test_a_newer_trigger_ends_with_one_live_version(self) -> None:
        for k in range(MANY):
            world = World()
            try:
                await self.started(world)
                begun = len(world.engine.requests)
                at_request(world, begun + k, lambda world=world: world.supervisor.triggers.trigger("newer"))  # type: ignore[misc]
                world.supervisor.triggers.trigger("older")
                await self.at_rest(world)
                self.assertEqual((len(world.leads_to), *world.state()[:2]), (1, world.leads_to, world.leads_to))
                made = len(world.engine.requests) - begun
                if k < STARTED:
                    # The older one was cancelled, and gave its number back.
                    self.assertEqual(world.leads_to, ["app-1"])
                await world.supervisor.stop()
                self.assertEqual(world.state(), ([], [], []))
            finally:
                await world.close()
            if k >= made:
                break
        self.assertGreaterEqual(k, 8)

    async def test_stopping(self) -> None:
        for k in range(MANY):
            world = World()
            try:
                await self.started(world)
                begun = len(world.engine.requests)
                stopped: list[Deferred[None]] = []
                at_request(
                    world,
                    begun + k,
                    lambda world=world, stopped=stopped: stopped.append(  # type: ignore[misc]
                        Deferred.fromCoroutine(world.supervisor.stop())
                    ),
                )
                world.supervisor.triggers.trigger("a handover")
                await until(lambda world=world, stopped=stopped: stopped or world.state() == IN_ORDER)  # type: ignore[misc]
                await (stopped[0] if stopped else world.supervisor.stop())
                self.assertEqual(world.state(), ([], [], []))
                made = len(world.engine.requests) - begun
            finally:
                await world.close()
            if k >= made:
                break
        self.assertGreaterEqual(k, 8)

    async def started(self, world: World) -> None:
        """The first version is live."""
        world.supervisor.triggers.start()
        world.supervisor.triggers.trigger("start")
        await until(lambda: world.leads_to)

    async def at_rest(self, world: World) -> None:
        """One version is live, one that came after the first, and there is no other; so it stays."""

        def rests() -> bool:
            is_led = world.leads_to not in ([], ["app-0"]) and sorted(world.engine.containers) == world.leads_to
            return is_led and not world.supervisor.triggers.is_busy

        quiet = 0
        while quiet < 10:
            await until(rests)
            quiet = quiet + 1 if rests() else 0


class TheCheckItself(TestCase):
    """Without the clean-up that it is about, the check fails."""

    async def test_it_sees_a_container_that_is_left(self) -> None:
        with mock.patch.object(Discards, "discard", return_value=succeed(None)):
            world = World()
            try:
                with self.assertRaises(AssertionError):
                    await AtEveryRequest().cancel_at(world, 4, AFTER, live=False, again=False)
            finally:
                await world.close()


def at_request(world: World, number: int, act: Callable[[], object]) -> None:
    """Have ``act`` called in the reactor's thread when the engine has carried out its request ``number``."""

    def on_request(this: int, when: str, _what: str) -> None:
        if (this, when) == (number, AFTER):
            blockingCallFromThread(REACTOR, act)

    world.engine.on_request = on_request


def check(
    case: TestCase, world: World, outcome: Outcome[Live], number: int, kinds: tuple[type[Exception], ...]
) -> bool:
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
        await pause(REACTOR, 0.005)
    raise AssertionError("not within 10 seconds")
