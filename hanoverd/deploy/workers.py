"""Does what the orchestrator asks for, and sends what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.adoption import Adoption
from hanoverd.deploy.handover import Handovers
from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.deploy.pause import PauseFile
from hanoverd.deploy.removals import Removals
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.retirement import Retirement
from hanoverd.deploy.state import Attempt, State
from hanoverd.network.conntrack import Conntrack
from hanoverd.network.routes import Routes
from hanoverd.notify.hooks import Hooks
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.errors import HanoverdError
from hanoverd.spec.events import DRAINED
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Running, Versions

log = Logger()


class DeployWorkers:
    """The workers of one app; see ``orchestrator.Workers``."""

    def __init__(
        self,
        versions: Versions,
        stopper: Stopper,
        routes: Routes,
        adoption: Adoption,
        handovers: Handovers,
        retirement: Retirement,
        retention: Retention,
        removals: Removals,
        conntrack: Conntrack,
        hooks: Hooks,
        reporter: Reporter,
        pause_file: PauseFile,
        numbers: VersionNumbers,
        state: Callable[[], State],
        send: Callable[[ev.Event], object],
    ) -> None:
        self._versions = versions
        self._stopper = stopper
        self._routes = routes
        self._adoption = adoption
        self._handovers = handovers
        self._retirement = retirement
        self._retention = retention
        self._removals = removals
        self._conntrack = conntrack
        self._hooks = hooks
        self._reporter = reporter
        self._pause_file = pause_file
        self._numbers = numbers
        self._state = state
        self._send = send
        retirement.on_drained = self._drained

    async def adopt(self) -> None:
        """Take over what an earlier run left.  Cancel leaves it as it is."""
        try:
            adopted = await self._adoption.adopt()
        except CancelledError:
            await shielded(Deferred.fromCoroutine(self._versions.stop_monitoring_all()))
            self._send(ev.AdoptionCancelled())
        except HanoverdError as error:
            self._send(ev.AdoptionFailed(str(error)))
        except Exception as error:  # noqa: BLE001  # a mistake of ours must not end the daemon
            log.failure(
                "{app}: cannot take over the containers of an earlier run: internal error",
                event="internal_error",
                app=self._versions.app,
            )
            self._send(ev.AdoptionFailed(f"internal error: {error}"))
        else:
            self._numbers.follow(adopted.next_number)
            self._send(adopted)
            self._send_exits([adopted.serves, *(number for number, _ in adopted.draining)])

    async def hand_over(self, attempt: Attempt, number: int) -> None:
        """Bring up a version.  Cancel removes it, up to the flip."""
        self._numbers.use(number)
        await self._handovers.hand_over(attempt, self._versions.container(number))

    async def reinstate(self, number: int) -> None:
        """Make an earlier version live again.  Cancel gives up."""
        running = self._versions.running(number)
        if running is None:
            self._send(ev.ReinstatementFailed(number, "it is not monitored any more", is_gone=True))
            return
        await self._handovers.reinstate(running)

    async def retire(self, number: int, *, drain: bool, keep: bool) -> None:
        """Drain, stop, and put away or remove a version."""
        await self._retirement.retire(self._container(number), drain=drain, keep=keep)

    async def clean_up(self, effect: ef.CleanUpDead) -> None:
        """Report and remove a live version that has exited."""
        running = self._versions.running(effect.number)
        if running is not None:
            # What a client has begun with it would wait for minutes.
            await shielded(Deferred.fromCoroutine(self._conntrack.forget_unanswered(running.addresses)))
            reason, output = await self._versions.describe_exit(running)
            self._reporter.died(running, reason, output, effect)
        await shielded(self._removals.remove(self._container(effect.number)))

    async def remove(self, number: int) -> None:
        """Remove a version."""
        await shielded(self._removals.remove(self._container(number)))

    async def unroute(self, number: int | None) -> None:
        """Remove the routes to a version.  A failure is logged, and repaired later."""
        try:
            await self._routes.unroute(number)
        except HanoverdError as error:
            log.error(
                "{app}: routes cannot be removed: {error}; retrying",
                event="routes_failed",
                app=self._versions.app,
                error=error,
            )

    async def prune(self) -> None:
        """Remove what is not needed any more."""
        live = self._state().newest_live
        running = None if live is None else self._versions.running(live.number)
        if running is not None:
            for number in await self._retention.prune(running):
                self._send(ev.Gone(number))

    async def sweep(self) -> None:
        """Remove what is left of the app."""
        await self._removals.close()
        await self._removals.sweep()
        self._send(ev.Swept())

    async def detach(self, number: int) -> None:
        """Do not monitor a version any longer."""
        running = self._versions.running(number)
        is_live = any(live.number == number for live in self._routes.live)
        await self._versions.stop_monitoring(number, keeps_running=True)
        if running is not None and is_live:
            log.info(
                "{version}: left running (--on-exit keep)",
                event="left_running",
                version=running.name,
            )

    async def wait_for_engine(self) -> None:
        """Fires when the engine answers.  Cancel gives up."""
        try:
            await self._stopper.wait_for_engine()
        except CancelledError:
            return
        except HanoverdError as error:
            # The handover that is tried next says what to do.
            log.error("{app}: engine: {error}", event="engine_failed", app=self._versions.app, error=error)
        self._send(ev.EngineBack())

    async def close(self) -> None:
        """End what is still under way; fires when it is over."""
        await self._removals.close()
        await self._hooks.close()
        await self._versions.stop_monitoring_all()

    def end_drain(self, number: int) -> None:
        """Do not wait for the connections of a version any longer."""
        self._retirement.end_drain(number)

    def kill(self) -> None:
        """Kill what is being stopped."""
        self._retirement.kill()
        self._removals.kill()

    def give_up_after(self, seconds: float) -> None:
        """Wait no longer than this for an engine that does not answer."""
        self._stopper.give_up_after(seconds)

    def save_pause(self, *, is_paused: bool) -> None:
        """Remember over a restart whether triggers are held."""
        self._pause_file.save(is_paused=is_paused)

    def _send_exits(self, numbers: Iterable[int | None]) -> None:
        """Send the exits of adopted versions that came before these were known."""
        found = [self._versions.running(number) for number in numbers if number is not None]
        for running in found:
            if running is not None and running.has_exited:
                self._send(ev.Exited(running.number, running.monitor.exit.get()))

    def _container(self, number: int) -> Container:
        running: Running | None = self._versions.running(number)
        if running is not None:
            return running.container
        return self._adoption.containers.get(number, self._versions.container(number))

    def _drained(self, container: Container) -> None:
        self._hooks.notify(self._reporter.event(DRAINED, container.version_reference))
