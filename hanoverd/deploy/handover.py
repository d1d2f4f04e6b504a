"""A handover, from the image to the end of the version that was replaced: ``Handovers.hand_over`` is the whole story."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy.events import (
    AttemptCancelled,
    AttemptFailed,
    EngineBack,
    EngineLost,
    Event,
    Flipped,
    LiveStopped,
    NameTaken,
    Obtained,
    ReinstatementFailed,
    Unchanged,
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
from hanoverd.deploy.unchanged import NothingToDo, skip_if_unchanged
from hanoverd.deploy.unreachable import unreachable_error
from hanoverd.images import Progress, Source
from hanoverd.network.routes import Flip, Live, Routes
from hanoverd.notify.hooks import Hooks
from hanoverd.runtime.cancellation import settled, shielded
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import EngineUnreachable, HanoverdError, NameInUse, NotFound, ObtainFailed, VersionFailed
from hanoverd.spec import events as public
from hanoverd.spec.container import Image, Recipe
from hanoverd.spec.lineage import Lineage
from hanoverd.text.durations import format_duration
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Created, Ready, Running
from hanoverd.versions.versions import Versions

log = Logger()


@dataclass(frozen=True)
class Sources:
    """Where images come from: ``app`` is the app's source, and ``named`` returns the source for an image's name.

    ``timeout`` is the time limit for obtaining an image, in seconds.
    """

    app: Source
    named: Callable[[str], Source]
    timeout: float
    progress: Progress


class Handovers:
    """Hands an app over to new versions, and reinstates earlier ones.

    ``state`` returns the current state of the app; ``send`` takes the events.
    """

    def __init__(
        self,
        clock: IReactorTime,
        sources: Sources,
        versions: Versions,
        stopper: Stopper,
        routes: Routes,
        retirement: Retirement,
        retention: Retention,
        removals: Removals,
        hooks: Hooks,
        reporter: Reporter,
        state: Callable[[], State],
        send: Callable[[Event], object],
    ) -> None:
        self._clock = clock
        self._sources = sources
        self._versions = versions
        self._stopper = stopper
        self._routes = routes
        self._retirement = retirement
        self._retention = retention
        self._removals = removals
        self._hooks = hooks
        self._reporter = reporter
        self._state = state
        self._send = send
        # Without overlap, one version starts at a time.
        self._start_lock = DeferredLock()

    async def hand_over(self, attempt: Attempt, number: int) -> None:
        """Bring up version ``number`` beside the live one, route new connections to it, and retire the version it replaces.

        Fires when the replaced version is gone.  Never fails: the result is an event.  Until the flip, a failure or a cancel
        removes the new version, and the live one keeps serving.  The flip is the point of no return: after it, a cancel has no
        effect.
        """
        container = self._versions.new_container(number)
        phases = self._reporter.phases(attempt, container)
        started = self._clock.seconds()
        replaced: Sequence[Live] = ()
        async with self._failure_as_event(container):
            async with self._retention.obtaining():
                created = await self._create(attempt, container, phases)
            with self._unused_on_failure(created.image):
                async with self._live_stopped_without_overlap(created, phases) as stopped:
                    running = await self._start(created, phases)
                    ready = await self._versions.wait_until_ready(running, attempt.request.ready_timeout)
                    event = self._reporter.event(public.READY, running.container.version_reference, created.image)
                    phases.ready(event)
                    await self._hooks.require_approval(event)
                    flip = await self._flip(ready, phases.routed)
            replaced = flip.replaced or stopped
            self._reporter.live(flip.live, replaced, self._clock.seconds() - started)
        await self._retire(replaced)

    async def reinstate(self, number: int) -> None:
        """Make a version live again, and retire the version that it replaces.

        A version that was stopped is started, and must pass its readiness check.  Fires when that is done.  Never fails: the
        result is an event.  Cancel gives up.
        """
        old = self._versions.running(number)
        if old is None:
            self._send(ReinstatementFailed(number, "it is not monitored any more", is_gone=True))
            return
        replaced: Sequence[Live] = ()
        async with self._reinstatement_failure_as_event(old):
            async with self._start_lock:
                was_stopped, ready = old.has_exited, Ready(old)
                if was_stopped:
                    running = await self._versions.start(old.created, again=True)
                    ready = await self._versions.wait_until_ready(running)
                flip = await self._flip(ready)
            replaced = flip.replaced
            self._reporter.reinstated(old, was_stopped=was_stopped)
        await self._retire(replaced)

    async def wait_for_engine(self) -> None:
        """Send ``EngineBack`` when the engine answers.  Cancel gives up."""
        try:
            await self._stopper.wait_for_engine()
        except CancelledError:
            return
        except HanoverdError as error:
            # The handover that is tried next fails with an error that says what to do.
            log.error("{app}: engine: {error}", event="engine_failed", app=self._versions.app, error=error)
        self._send(EngineBack())

    # -- the end of a handover

    @asynccontextmanager
    async def _failure_as_event(self, container: Container) -> AsyncIterator[None]:
        """Remove the container of a version that failed or was cancelled, and send that as an event."""
        number = container.number
        event: Event
        try:
            yield
            return
        except NameInUse as error:
            # The container of that name is not ours to remove.
            log.warn(
                "{version}: another container has this name; continuing as {successor}",
                event="name_taken",
                version=container.name,
                successor=self._versions.new_container(error.next_number).name,
            )
            self._send(NameTaken(number, error.next_number))
            return
        except NothingToDo as found:
            self._send(Unchanged(number, found.live))
            return
        except CancelledError:
            event = AttemptCancelled(number)
        except EngineUnreachable as error:
            event = EngineLost(number, str(error))
        except HanoverdError as error:
            event = AttemptFailed(number, str(error))
        except Exception:  # noqa: BLE001  # a bug must end neither the daemon nor the version that serves
            log.failure("{version}: handover failed: internal error", event="internal_error", version=container.name)
            event = AttemptFailed(number, "internal error: see the log of hanoverd")
        await self._discard(container)
        self._send(event)

    @asynccontextmanager
    async def _reinstatement_failure_as_event(self, old: Running) -> AsyncIterator[None]:
        """Send the failure of a reinstatement as an event.  A cancel sends none."""
        try:
            yield
        except CancelledError:
            pass
        except HanoverdError as error:
            self._send(ReinstatementFailed(old.number, str(error), is_gone=isinstance(error, NotFound)))
        except Exception:  # noqa: BLE001  # a bug must end neither the daemon nor the version that serves
            log.failure(
                "{version}: cannot be made live again: internal error", event="internal_error", version=old.name
            )
            self._send(ReinstatementFailed(old.number, "internal error: see the log of hanoverd"))

    @contextmanager
    def _unused_on_failure(self, image: Image) -> Iterator[None]:
        """Mark the image as unused if its version does not go live."""
        try:
            yield
        except Exception:  # A cancel is an Exception too.
            self._retention.mark_unused(image)
            raise

    async def _discard(self, container: Container) -> None:
        """Remove the container of a version that did not go live, and what was prepared for its flip."""
        await shielded(Deferred.fromCoroutine(self._routes.abandon()))
        if self._state().role(container.number) is not Role.LIVE:
            await self._removals.remove_version(container.number)

    async def _retire(self, replaced: Sequence[Live]) -> None:
        for old in replaced:
            version = self._state().versions.get(old.number)
            is_worth_keeping = version is not None and not version.is_rejected
            await self._retirement.retire(old.number, drain=True, keep=is_worth_keeping)

    # -- the steps

    async def _create(self, attempt: Attempt, container: Container, phases: Phases) -> Created:
        recipe = await self._recipe(attempt, phases)
        phases.compared(recipe)
        if attempt.request.if_changed:
            with self._unused_on_failure(recipe.image):
                await skip_if_unchanged(self._versions, self._retention, self._state, recipe)
        try:
            created = await self._versions.create(recipe, container.number)
        except NotFound as error:
            if not isinstance(attempt.request.target, Restart):
                raise
            phases.image_missing(error)
            image = await self._obtain(self._sources.app, None, phases)
            phases.obtained(image)
            lineage = Lineage(predecessors=recipe.lineage.predecessors, source=self._sources.app.describe())
            created = await self._versions.create(
                replace(self._versions.recipe(image), lineage=lineage), container.number
            )
        phases.created()
        return created

    async def _recipe(self, attempt: Attempt, phases: Phases) -> Recipe:
        match attempt.request.target:
            case Restart(recipe):
                if not self._routes.suits(recipe.options):
                    # It was left by an earlier run that published other ports, or used another network.
                    recipe = replace(self._versions.recipe(recipe.image), lineage=recipe.lineage)
                phases.reused(recipe.image)
                return recipe
            case Rollback(number):
                recipe = await self._retention.rollback_recipe(number)
                phases.rollback(self._versions.new_container(recipe.lineage.origin or 0).name, recipe.image)
                return recipe
            case ImageTarget(reference):
                source = self._sources.named(reference)
                image = await self._obtain(source, None, phases)
            case SourceTarget(revision):
                source = self._sources.app
                image = await self._obtain(source, revision, phases)
                self._send(Obtained(image.revision))
        phases.obtained(image)
        return await self._retention.deploy_recipe(image, source.describe())

    async def _obtain(self, source: Source, revision: str | None, phases: Phases) -> Image:
        phases.obtaining(source.describe())
        obtaining = Deferred.fromCoroutine(source.obtain(self._sources.progress, revision))
        try:
            return await within(self._clock, self._sources.timeout, obtaining)
        except TimedOut:
            raise ObtainFailed(
                f"{source.describe()}: not done within {format_duration(self._sources.timeout)}: check what it waits for, or "
                "set a longer --obtain-timeout"
            ) from None

    @asynccontextmanager
    async def _live_stopped_without_overlap(self, created: Created, phases: Phases) -> AsyncIterator[tuple[Live, ...]]:
        """Without overlap, stop the live versions, and start no other version meanwhile; yields the versions it stopped."""
        if self._state().policy.overlap:
            yield ()
            return
        async with self._start_lock:
            stopped = self._routes.live
            if stopped:
                self._send(LiveStopped(created.container.number))
                # A refused connection is better than a timeout, which is what a stopped container would cause.  A cancel is
                # honoured after it.
                await settled(Deferred.fromCoroutine(self._routes.unroute()), lambda: None)
                for live in stopped:
                    await self._stopper.stop_and_wait(live.running)
                    phases.stopped(live.running)
            yield stopped

    async def _start(self, created: Created, phases: Phases) -> Running:
        running = await self._versions.start(created)
        self._routes.prepare()
        phases.started(running)
        if not self._routes.has_ports_of(running):
            raise unreachable_error(running, suits=self._routes.suits(created.recipe.options))
        return running

    async def _flip(self, ready: Ready, on_flipped: Callable[[], object] = lambda: None) -> Flip:
        """Route new connections to a version, if it may still go live.

        ``on_flipped`` is called just before ``Flipped`` is sent.  Ignores cancellation.
        """
        running = ready.running

        def flipped(flip: Flip) -> None:
            on_flipped()
            replaced = frozenset(live.number for live in flip.replaced)
            self._send(Flipped(running.number, running.created.recipe, replaced))

        flip = await self._routes.flip(ready, lambda: self._state().may_go_live(running.number), flipped)
        if flip is None:
            raise await self._why_not_live(running)
        return flip

    async def _why_not_live(self, running: Running) -> Exception:
        """Return the error for a version that is ready, and may not go live."""
        if running.has_exited:
            return await self._versions.exit_error(running)
        if self._state().role(running.number) is Role.REINSTATING:
            # Its exit was seen late.  The reinstatement is retried.
            return VersionFailed(f"{running.name} exited in the meantime")
        return CancelledError()
