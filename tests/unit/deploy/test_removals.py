"""What cannot be removed at once is removed later, and in the end given up and logged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hanoverd.deploy.events import Event, Gone
from hanoverd.deploy.removals import Removals
from hanoverd.runtime.cancellation import Outcome
from hanoverd.versions.version import Container
from tests.fakes.engine import HangUp
from tests.fakes.world import REACTOR, Daemon, World, until


@contextmanager
def deserted(world: World) -> Iterator[None]:
    """The context in which the engine answers no request."""

    def hang_up(*_: object) -> None:
        raise HangUp

    world.engine.on_request = hang_up
    try:
        yield
    finally:
        world.engine.on_request = lambda *_: None


def removals_of(daemon: Daemon, gone: list[int]) -> Removals:
    """Removals of the daemon's app, which note the versions that are gone."""
    app = daemon.app
    reporter: Any = None

    def send(event: Event) -> None:
        assert isinstance(event, Gone)
        gone.append(event.number)

    return Removals(REACTOR, app.versions, app.stopper, app.routes, app.conntrack, reporter, 0.05, send)


class RemovalsTests(TestCase):
    """With the fake engine, which is away."""

    async def a_version_is_live(self, world: World) -> tuple[Daemon, Container, Removals, list[int]]:
        """A daemon, the container of its live version, removals, and the versions that they report as gone."""
        daemon = world.daemon()
        daemon.start()
        await daemon.live("app-0")
        [running] = daemon.app.live()
        gone: list[int] = []
        return daemon, running.container, removals_of(daemon, gone), gone

    async def test_a_handover_is_not_held_up_and_the_removal_goes_on(self) -> None:
        world = World()
        try:
            _, container, removals, gone = await self.a_version_is_live(world)
            with deserted(world):
                await removals.remove(container)
                self.assertEqual((gone, list(world.engine.containers)), ([], ["app-0"]))
            await until(lambda: gone)
            self.assertEqual((gone, list(world.engine.containers)), ([0], []))
            await removals.close()
        finally:
            await world.close()

    async def test_in_the_end_it_is_given_up_and_logged(self) -> None:
        world = World()
        try:
            _, container, removals, gone = await self.a_version_is_live(world)
            with deserted(world):
                removing = Outcome(removals.remove(container))
                await removals.close()
                await removing.wait()
                self.assertEqual((gone, list(world.engine.containers)), ([0], ["app-0"]))
            self.assertTrue(world.has_logged("remove_failed", version="app-0", container=container.id), world.log)
        finally:
            await world.close()

    async def test_a_cancel_of_one_who_waits_does_not_touch_the_removal(self) -> None:
        world = World()
        try:
            _, container, removals, gone = await self.a_version_is_live(world)
            waiting: Deferred[Any] = removals.remove(container)
            waiting.addErrback(lambda failure: failure.trap(CancelledError))
            waiting.cancel()
            await until(lambda: gone)
            self.assertEqual((gone, list(world.engine.containers)), ([0], []))
        finally:
            await world.close()

    async def test_a_removal_that_fails_is_reported_as_gone_too(self) -> None:
        world = World()
        try:
            _, container, removals, gone = await self.a_version_is_live(world)
            with deserted(world):
                waiting = Outcome(removals.remove(container))
                removals.kill()
                await waiting.wait()
            await until(lambda: gone)
            self.assertEqual(gone, [0])
        finally:
            await world.close()
