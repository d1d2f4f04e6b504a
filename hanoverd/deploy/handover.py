"""A handover, from obtaining the image to removing the version that was replaced: the whole story, in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy.events import (
    AttemptCancelled,
    AttemptFailed,
    EngineLost,
    Event,
    Flipped,
    LiveStopped,
    NameTaken,
    Obtained,
    ReinstatementFailed,
)
from hanoverd.deploy.phases import Phases
from hanoverd.deploy.removals import Removals
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.retirement import Retirement
from hanoverd.deploy.state import Attempt, Role, State
from hanoverd.deploy.targets import Image as ImageTarget
from hanoverd.deploy.targets import Restart, Rollback
from hanoverd.deploy.targets import Source as SourceTarget
from hanoverd.images import Progress, Source
from hanoverd.network.routes import Flip, Live, Routes
from hanoverd.notify.hooks import Hooks
from hanoverd.runtime.cancellation import settled, shielded
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import EngineUnreachable, HanoverdError, NameInUse, NotFound, ObtainFailed, VersionFailed
from hanoverd.spec import events as public
from hanoverd.spec.container import Image, Recipe
from hanoverd.text.durations import format_duration
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Created, Ready, Running, Versions

log = Logger()


class Handovers:
    """Brings up new versions of one app, and makes earlier ones live again.

    ``named`` returns the source of an image's name.  ``state`` returns the state of the app as it is now, ``send`` takes what
    has happened.
    """

    def __init__(
        self,
        clock: IReactorTime,
        source: Source,
        named: Callable[[str], Source],
        obtain_timeout: float,
        versions: Versions,
        stopper: Stopper,
        routes: Routes,
        retirement: Retirement,
        retention: Retention,
        removals: Removals,
        progress: Progress,
        hooks: Hooks,
        reporter: Reporter,
        state: Callable[[], State],
        send: Callable[[Event], object],
    ) -> None:
        self._clock = clock
        self._source = source
        self._named = named
        self._obtain_timeout = obtain_timeout
        self._versions = versions
        self._stopper = stopper
        self._routes = routes
        self._retirement = retirement
        self._retention = retention
        self._removals = removals
        self._progress = progress
        self._hooks = hooks
        self._reporter = reporter
        self._state = state
        self._send = send
        # Without overlap, one version at a time starts.
        self._room = DeferredLock()

    async def hand_over(self, attempt: Attempt, container: Container) -> None:
        """Obtain an image, bring up a version of it beside the live one, flip to it, and retire the version that it replaced.

        Fires when the replaced version is gone; never fails: what comes of it is an event.  Before the flip, a failure or a
        cancel removes the new version, and the live one goes on.  The flip is the point of no return: a cancel changes
        nothing from then on.
        """
        phases = self._reporter.phases(attempt, container)
        try:
            replaced = await self._bring_up(attempt, container, phases)
        except NameInUse as error:
            log.warn(
                "{version}: another container has this name; continuing as {successor}",
                event="name_taken",
                version=container.name,
                successor=self._versions.container(error.next_number).name,
            )
            self._send(NameTaken(container.number, error.next_number))
        except CancelledError:
            await self._discard(container)
            self._send(AttemptCancelled(container.number))
        except EngineUnreachable as error:
            await self._discard(container)
            self._send(EngineLost(container.number, str(error)))
        except HanoverdError as error:
            await self._discard(container)
            self._send(AttemptFailed(container.number, str(error)))
        except Exception:  # noqa: BLE001  # a mistake of ours must end neither the daemon nor the version that serves
            log.failure("{version}: handover failed: internal error", event="internal_error", version=container.name)
            await self._discard(container)
            self._send(AttemptFailed(container.number, "internal error: see the log of hanoverd"))
        else:
            for old in replaced:
                await self._retirement.retire(old.running.container, drain=True, keep=self._is_worth_keeping(old))

    async def _bring_up(self, attempt: Attempt, container: Container, phases: Phases) -> Sequence[Live]:
        """The story up to the flip; returns what it replaced."""
        async with self._retention.obtaining():
            created = await self._create(attempt, container, phases)
        try:
            async with self._room_to_start(created, phases) as stopped:
                running = await self._versions.start(created)
                self._routes.prepare()
                phases.started(running)
                if not self._routes.has_ports_of(running):
                    raise VersionFailed(
                        "it does not have all the ports that are published now: it was created with other ones"
                    )
                ready = await self._versions.wait_until_ready(running)
                phases.ready()
                await self._hooks.require_approval(
                    self._event(public.READY, created.container.version_reference, created.image)
                )
                flip = await self._flip(ready, phases.flipped)
                replaced = flip.replaced or stopped
        except Exception:
            # A cancel, too.
            self._retention.mark_unused(created.image)
            raise
        phases.live(self._routes.describe(flip.live))
        event = self._event(public.LIVE, running.container.version_reference, created.image)
        self._hooks.notify(replace(event, old=replaced[0].running.container.version_reference if replaced else None))
        return replaced

    async def reinstate(self, old: Running) -> None:
        """Make a version live again that was live before, and retire what it replaces.

        One that was stopped is started, and must become ready as any other.  Fires when that is over; never fails: what
        comes of it is an event.  Cancel gives up.
        """
        try:
            replaced = await self._reinstate(old)
        except CancelledError:
            return
        except HanoverdError as error:
            is_gone = isinstance(error, NotFound)
            self._send(ReinstatementFailed(old.number, str(error), is_gone=is_gone))
            return
        except Exception:  # noqa: BLE001  # as above
            log.failure(
                "{version}: cannot be made live again: internal error", event="internal_error", version=old.name
            )
            self._send(ReinstatementFailed(old.number, "internal error: see the log of hanoverd"))
            return
        for one in replaced:
            await self._retirement.retire(one.running.container, drain=True, keep=self._is_worth_keeping(one))

    async def _reinstate(self, old: Running) -> Sequence[Live]:
        await self._room.acquire()
        try:
            was_stopped, ready = old.has_exited, Ready(old)
            if was_stopped:
                running = await self._versions.start(old.created, again=True)
                ready = await self._versions.wait_until_ready(running)
            flip = await self._flip(ready, lambda: None)
        finally:
            self._room.release()
        self._reporter.reinstated(old, was_stopped=was_stopped)
        return flip.replaced

    # -- the steps

    async def _create(self, attempt: Attempt, container: Container, phases: Phases) -> Created:
        recipe = await self._recipe(attempt, container, phases)
        try:
            created = await self._versions.create(recipe, container.number)
        except NotFound as error:
            if not isinstance(attempt.request.target, Restart):
                raise
            phases.image_missing(error)
            image = await self._obtain(self._source, None, container, phases)
            phases.obtained(image)
            created = await self._versions.create(self._versions.recipe(image), container.number)
        phases.created()
        return created

    async def _recipe(self, attempt: Attempt, container: Container, phases: Phases) -> Recipe:
        match attempt.request.target:
            case Restart(recipe):
                if not self._routes.has_ports(recipe.options.ports):
                    # It was left by an earlier run that published other ports.
                    recipe = self._versions.recipe(recipe.image)
                phases.reused(recipe.image)
                return recipe
            case Rollback(generation):
                live = self._routes.live
                recipe = await self._retention.recipe(generation, live[0].running if live else None)
                phases.reused(recipe.image)
                return recipe
            case ImageTarget(reference):
                image = await self._obtain(self._named(reference), None, container, phases)
            case SourceTarget(revision):
                image = await self._obtain(self._source, revision, container, phases)
                self._send(Obtained(image.revision))
        phases.obtained(image)
        return self._versions.recipe(image)

    async def _obtain(self, source: Source, revision: str | None, container: Container, phases: Phases) -> Image:
        phases.obtaining(source.describe())
        obtaining = Deferred.fromCoroutine(source.obtain(self._progress, revision))
        try:
            image = await within(self._clock, self._obtain_timeout, obtaining)
        except TimedOut:
            raise ObtainFailed(
                f"{source.describe()}: not done within {format_duration(self._obtain_timeout)}: check what it waits for, or "
                "set a longer --obtain-timeout"
            ) from None
        self._hooks.notify(self._event(public.OBTAINED, public.VersionReference(container.name), image))
        return image

    @asynccontextmanager
    async def _room_to_start(self, created: Created, phases: Phases) -> AsyncIterator[tuple[Live, ...]]:
        """Without overlap, the live versions stop first, and no other version starts meanwhile; yields what was stopped."""
        if self._state().policy.overlap:
            yield ()
            return
        await self._room.acquire()
        try:
            stopped = self._routes.live
            if stopped:
                self._send(LiveStopped(created.container.number))
                # Refused is a better answer than none, which is what a stopped container gives.  A cancel is heard after it.
                await settled(Deferred.fromCoroutine(self._routes.unroute()), lambda: None)
                for live in stopped:
                    await self._stopper.stop_and_wait(live.running)
                    phases.stopped(live.running)
            yield stopped
        finally:
            self._room.release()

    async def _flip(self, ready: Ready, done: Callable[[], object]) -> Flip:
        """Route new connections to a version, if it may still go live; ``done`` is called just before that is sent."""
        running = ready.running

        def flipped(flip: Flip) -> None:
            done()
            replaced = frozenset(live.number for live in flip.replaced)
            self._send(Flipped(running.number, running.created.recipe, replaced))

        flip = await self._routes.flip(ready, lambda: self._state().may_go_live(running.number), flipped)
        if flip is None:
            raise await self._not_wanted(running)
        return flip

    async def _not_wanted(self, running: Running) -> Exception:
        """Why a version that is ready does not go live."""
        if running.has_exited:
            return await self._versions.exit_error(running)
        if self._state().role(running.number) is Role.REINSTATING:
            # An exit that was seen late: it is tried again.
            return VersionFailed(f"{running.name} exited in the meantime")
        return CancelledError()

    async def _discard(self, container: Container) -> None:
        await shielded(Deferred.fromCoroutine(self._routes.abandon()))
        if self._state().role(container.number) is not Role.LIVE:
            running = self._versions.running(container.number)
            await shielded(self._removals.remove(container if running is None else running.container))

    def _is_worth_keeping(self, old: Live) -> bool:
        version = self._state().versions.get(old.number)
        return version is not None and not version.is_rejected

    def _event(self, kind: str, new: public.VersionReference, image: Image) -> public.Event:
        return self._reporter.event(kind, new, image)
