"""Cancelled, or deserted by its engine, at any point, a handover leaves nothing behind and harms nothing.

The engine and the firewall are fakes, so that every point can be hit; all else is real: docker-py, the threads, the
processes, the HTTP probes.
"""

from __future__ import annotations

import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from hanoverd.deploy.events import CancelRequested, Gone
from hanoverd.deploy.handover import Handovers
from hanoverd.deploy.removals import Removals
from hanoverd.deploy.state import Attempt, Phase, Role
from hanoverd.runtime.ipv6 import has_ipv6
from hanoverd.versions.version import Container
from tests.fakes.engine import HangUp, Refusal
from tests.fakes.world import REACTOR, Daemon, World, until

#: More requests, or awaits, than a handover has.
MANY = 60

BEFORE, AFTER = "before", "after"

#: The requests of a handover up to the one that starts the container: build, inspect the image, create.
STARTED = 3

#: How a handover that was cancelled, or that failed, ends; and one that was too far for that.
CANCELLED, FAILED, LIVE = "cancelled", "failed", "live"


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
                world = World()
                try:
                    daemon = await started(world, overlap=overlap, live=live)
                    cancelled += await self.cancel_at(daemon, k, phase, again=again)
                finally:
                    await world.close()
                if k >= self.requests:
                    break
            self.assertLess(k, MANY - 1)
            # All to the start at least; what comes too late must do no harm either.
            self.assertGreaterEqual(cancelled, 5)

    async def cancel_at(self, daemon: Daemon, k: int, phase: str, *, again: bool) -> bool:
        """Whether the handover was cancelled."""
        engine = daemon.world.engine
        begun = len(engine.requests)
        number = daemon.orchestrator.state.next_number

        def on_request(this: int, when: str, _what: str) -> None:
            if when != phase or this < begun + k or (this > begun + k and not again):
                return
            cancel = partial(daemon.orchestrator.send, CancelRequested("cancelled by the test"))
            if this > begun + k:
                # It is asked for only once; the work must bear more.
                cancel = partial(daemon.orchestrator._cancel_task, "hand over", number)
            blockingCallFromThread(REACTOR, cancel)
            if phase == BEFORE:
                # A busy engine: it acts on what it was asked only when we might think that it never will.
                time.sleep(0.02)

        engine.on_request = on_request
        daemon.trigger("a handover")
        await at_rest(daemon)
        engine.on_request = lambda *_: None
        self.requests = len(engine.requests) - begun
        return check(self, daemon, number, CANCELLED) == CANCELLED


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
            world = World()
            try:
                daemon = await started(world, overlap=overlap)
                awaits = Awaits(cancel=range(k, k + times))
                with awaits.of_handovers():
                    daemon.trigger("a handover")
                    await at_rest(daemon)
                cancelled += check(self, daemon, 1, CANCELLED) == CANCELLED
            finally:
                await world.close()
            if awaits.seen <= k:
                break
        self.assertLess(k, MANY - 1)
        # Build, create, start, poll.
        self.assertGreaterEqual(cancelled, 4)


class Awaits:
    """Counts the awaits of a coroutine, and cancels those whose number is in ``cancel``."""

    def __init__(self, cancel: range) -> None:
        self.seen = 0
        self._cancel = cancel

    def of_handovers(self) -> Any:
        """The context in which it watches the handovers that begin."""
        hand_over = Handovers.hand_over

        def watched(handovers: Handovers, attempt: Attempt, number: int) -> Awaitable[None]:
            return self._watch(hand_over(handovers, attempt, number))

        return mock.patch.object(Handovers, "hand_over", watched)

    @types.coroutine
    def _watch(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> Generator[Deferred[Any], Any, None]:
        step: Callable[[], Deferred[Any]] = partial(coroutine.send, None)
        while True:
            try:
                awaited = step()
            except StopIteration:
                return
            if self.seen in self._cancel:
                REACTOR.callLater(0, awaited.cancel)
            self.seen += 1
            step = yield from _resumed(awaited, coroutine)


def _resumed(
    awaited: Deferred[Any], coroutine: Coroutine[Deferred[Any], Any, None]
) -> Generator[Deferred[Any], Any, Callable[[], Deferred[Any]]]:
    try:
        value = yield awaited
    except BaseException as error:
        thrown = error
        return partial(coroutine.throw, thrown)
    return partial(coroutine.send, value)


class DesertedTests(TestCase):
    """The engine does not do what it should at the k-th request, for every k."""

    async def test_it_hangs_up_before_it_acts_and_is_away_for_a_moment(self) -> None:
        await self.hang_up_everywhere(BEFORE)

    async def test_it_hangs_up_after_it_acted_and_is_away_for_a_moment(self) -> None:
        await self.hang_up_everywhere(AFTER)

    async def test_it_refuses_before_it_acts(self) -> None:
        await self.refuse_everywhere(BEFORE)

    async def test_it_refuses_after_it_acted(self) -> None:
        await self.refuse_everywhere(AFTER)

    async def hang_up_everywhere(self, phase: str) -> None:
        """The handover starts again when the engine is back."""
        restarted = await self.desert_everywhere(phase, 3, HangUp)
        self.assertGreaterEqual(restarted.count(LIVE), 5)

    async def refuse_everywhere(self, phase: str) -> None:
        """The handover fails, as a rule."""
        outcomes = await self.desert_everywhere(phase, 1, lambda: Refusal(500, "out of order"))
        self.assertGreaterEqual(outcomes.count(FAILED), 4)

    async def desert_everywhere(self, phase: str, times: int, error: Callable[[], Exception]) -> list[str]:
        """For every k; what the handovers came to whose first attempt was lost, or failed."""
        outcomes = []
        for k in range(MANY):
            world = World()
            try:
                daemon = await started(world)
                begun = len(world.engine.requests)

                def on_request(this: int, when: str, _what: str, first: int = begun + k) -> None:
                    if first <= this < first + times and when == phase:
                        raise error()

                world.engine.on_request = on_request
                daemon.trigger("a handover")
                await at_rest(daemon)
                world.engine.on_request = lambda *_: None
                made = len(world.engine.requests) - begun
                outcome = check(self, daemon, daemon.orchestrator.state.next_number - 1, FAILED)
                last = daemon.app.history.last
                if outcome == FAILED or (last is not None and last.losses):
                    outcomes.append(outcome)
            finally:
                await world.close()
            if k >= made:
                break
        self.assertLess(k, MANY - 1)
        return outcomes


class SomethingElseHappens(TestCase):
    """At the k-th request after the start, for every k."""

    async def test_a_newer_trigger_ends_with_one_live_version(self) -> None:
        for k in range(MANY):
            world = World()
            try:
                daemon = await started(world)
                begun = len(world.engine.requests)
                at_request(world, begun + k, lambda daemon=daemon: daemon.trigger("newer"))  # type: ignore[misc]
                daemon.trigger("older")
                await at_rest(daemon)
                self.assertEqual(
                    (len(world.routed_versions), *world.state()[:2]), (1, world.routed_versions, world.routed_versions)
                )
                made = len(world.engine.requests) - begun
                if k < STARTED:
                    # The older one was cancelled.  Its number is not used again.
                    self.assertEqual(world.routed_versions, ["app-2"])
                await daemon.stop()
                self.assertEqual(world.state(), ([], [], []))
            finally:
                await world.close()
            if k >= made:
                break
        self.assertTrue(8 <= k < MANY - 1)

    async def test_a_stop(self) -> None:
        await self.stop_everywhere(overlap=True)

    async def test_a_stop_without_overlap(self) -> None:
        await self.stop_everywhere(overlap=False)

    async def test_a_stop_while_a_version_fails_without_overlap(self) -> None:
        await self.stop_everywhere(overlap=False, STATUS="500")

    async def test_a_stop_that_leaves_the_live_version(self) -> None:
        await self.stop_everywhere(overlap=True, keep=True)

    async def test_a_stop_that_leaves_the_live_version_without_overlap(self) -> None:
        await self.stop_everywhere(overlap=False, keep=True)

    async def stop_everywhere(self, *, overlap: bool, keep: bool = False, **env: str) -> None:
        """A stop at every request of a handover to a version with this environment."""
        for k in range(MANY):
            world = World()
            try:
                daemon = await started(world, overlap=overlap, keep=keep)
                world.write_app(**env)
                begun = len(world.engine.requests)
                stopped: list[Deferred[None]] = []
                at_request(
                    world,
                    begun + k,
                    lambda daemon=daemon, stopped=stopped: stopped.append(  # type: ignore[misc]
                        Deferred.fromCoroutine(daemon.stop())
                    ),
                )
                daemon.trigger("a handover")
                await until(lambda daemon=daemon, stopped=stopped: stopped or is_at_rest(daemon))  # type: ignore[misc]
                await (stopped[0] if stopped else daemon.stop())
                if keep:
                    await self.take_over(world)
                self.assertEqual(world.state(), ([], [], []))
                made = len(world.engine.requests) - begun
            finally:
                await world.close()
            if k >= made:
                break
        self.assertTrue(8 <= k < MANY - 1)

    async def take_over(self, world: World) -> None:
        """What serves is left serving, and the next daemon puts all else in order."""
        live = world.routed_versions
        self.assertEqual(len(live), 1)
        self.assertLessEqual(set(live), set(world.engine.running()))
        successor = await started(world, live=False)
        self.assertEqual(world.state(), (live, live, live))
        await successor.stop()


class TheCheckItself(TestCase):
    """Without the clean-up that it is about, the check fails."""

    async def test_it_sees_a_container_that_is_left(self) -> None:
        def remove(removals: Removals, container: Container) -> Deferred[None]:
            removals._send(Gone(container.number))
            return succeed(None)

        world = World()
        try:
            daemon = await started(world, live=False)
            with mock.patch.object(Removals, "remove", remove), self.assertRaises(AssertionError):
                # The first container comes after a question about its network, if the host has IPv6.
                await AtEveryRequest().cancel_at(daemon, STARTED + has_ipv6(), AFTER, again=False)
            self.assertEqual(list(world.engine.containers), ["app-0"])
        finally:
            await world.close()


async def started(world: World, *, live: bool = True, overlap: bool = True, keep: bool = False) -> Daemon:
    """A daemon whose first version is live, if ``live``."""
    daemon = world.daemon(overlap=overlap, keep=keep, status_timeout=0.3)
    daemon.app.start()
    if live:
        daemon.trigger("start")
    await at_rest(daemon)
    return daemon


def is_at_rest(daemon: Daemon) -> bool:
    """Whether nothing is in progress, or about to start."""
    state = daemon.orchestrator.state
    is_asked = bool(state.attempts) or not state.requests.is_empty or state.phase is not Phase.RUNNING
    return not (is_asked or len(daemon.orchestrator._tasks))


async def at_rest(daemon: Daemon) -> None:
    """Wait until nothing is in progress."""
    await until(lambda: is_at_rest(daemon), 20.0, lambda: f"it does not come to rest: {daemon.orchestrator.state}")


def at_request(world: World, number: int, act: Callable[[], object]) -> None:
    """Have ``act`` called in the reactor's thread when the engine has carried out its request ``number``."""

    def on_request(this: int, when: str, _what: str) -> None:
        if (this, when) == (number, AFTER):
            blockingCallFromThread(REACTOR, act)

    world.engine.on_request = on_request


def check(case: TestCase, daemon: Daemon, number: int, may_end: str) -> str:
    """The outcome of the handover to version ``number``: live, or as it ``may_end``; either way all must be in order."""
    _, outcome = daemon.outcomes()[-1]
    case.assertIn(outcome, (LIVE, may_end))
    live = [f"app-{number}"] if outcome == LIVE else ["app-0"] if len(daemon.outcomes()) > 1 else []
    case.assertEqual(daemon.world.state(), (live, live, live))
    case.assertEqual([running.name for running in daemon.app.live()], live)
    # No version is forgotten, and none is thought to be there.
    case.assertEqual([version.role for version in daemon.orchestrator.state.versions.values()], [Role.LIVE] * len(live))
    return outcome
