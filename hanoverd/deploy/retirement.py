"""The end of a version: it drains, is stopped, and is kept for a rollback or removed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy.drain import Drain
from hanoverd.deploy.events import DrainEnded, Event, Gone, Kept
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.state import Role, State
from hanoverd.history.record import Drained
from hanoverd.runtime.cancellation import Outcome, settled, shielded
from hanoverd.runtime.errors import EngineError, HanoverdError
from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container
from hanoverd.versions.versions import Versions

log = Logger()


class Retirement:
    """Retires versions, several at the same time.

    ``state`` returns the current state of the app: a version that is live again is left alone.  ``send`` takes the events.
    """

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        stopper: Stopper,
        drain: Drain,
        retention: Retention,
        reporter: Reporter,
        state: Callable[[], State],
        send: Callable[[Event], object],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._stopper = stopper
        self._drain = drain
        self._retention = retention
        self._reporter = reporter
        self._state = state
        self._send = send
        self._drains: dict[int, Deferred[int | None]] = {}
        self._stops: dict[int, Deferred[bool]] = {}
        self._retiring: dict[int, Outcome[None]] = {}

    def end_drain(self, number: int) -> None:
        """Stop waiting for the connections of a draining version."""
        drain = self._drains.get(number)
        if drain is not None:
            drain.cancel()

    def kill(self) -> None:
        """Kill what is being stopped."""
        for drain in list(self._drains.values()):
            drain.cancel()
        for stop in list(self._stops.values()):
            stop.cancel()

    async def detach(self, number: int, *, serves: bool) -> None:
        """Stop monitoring a version whose container keeps running; ``serves``: it is the live one.  Idempotent."""
        running = self._versions.running(number)
        await self._versions.stop_monitoring(number, keeps_running=True)
        if running is not None and serves:
            log.info(
                "{version}: keeps serving without hanoverd (--on-exit keep); `hanoverd stop {app}` stops it",
                event="left_running",
                app=self._versions.app,
                version=running.name,
            )

    async def retire(self, number: int, *, drain: bool, keep: bool) -> None:
        """Drain a version if ``drain``, stop it, and keep it for a rollback if ``keep``, else remove it.

        Fires when that is done.  Never fails: what it cannot do is logged.  A version that is live again is left alone.
        Ignores cancellation; ``end_drain`` and ``kill`` make it faster.
        """
        before = self._retiring.get(number)
        container = self._versions.container(number)
        work = Deferred.fromCoroutine(self._retire(before, container, drain=drain, keep=keep))
        outcome = self._retiring[number] = Outcome(work)
        await shielded(outcome.wait())
        if self._retiring.get(number) is outcome:
            del self._retiring[number]
        outcome.get()

    async def _retire(self, before: Outcome[None] | None, container: Container, *, drain: bool, keep: bool) -> None:
        if before is not None:
            # It was live again in between, and its last retirement has not ended yet.
            await before.wait()
        begun = self._clock.seconds()
        left = (
            await self._drain_connections(container)
            if drain and self._state().role(container.number) is Role.DRAINING
            else None
        )
        drain_seconds = self._clock.seconds() - begun
        self._send(DrainEnded(container.number))
        if self._state().role(container.number) not in (Role.DRAINING, Role.STOPPING):
            return
        running = self._versions.running(container.number)
        begun = self._clock.seconds()
        is_stopped = await self._stop_or_kill(container)
        stop_seconds = self._clock.seconds() - begun
        if running is not None:
            await self._drain.forget(running)
        is_kept = keep and is_stopped and await self._try_to_keep(container)
        is_gone = is_kept or await self._stopper.remove_or_log(container)
        if is_gone:
            self._reporter.retired(container, left, drain_seconds, stop_seconds, is_kept=is_kept)
        self._send(Kept(container.number) if is_kept else Gone(container.number))

    async def _drain_connections(self, container: Container) -> int | None:
        """Wait for the connections of a version; returns how many are left, None if that is unknown."""
        running = self._versions.running(container.number)
        if running is None:
            return None
        log.info("{version}: draining", event="draining", version=container.name)
        begun = self._clock.seconds()
        counted_at_first: list[int | None] = []
        drain = self._drains[container.number] = Deferred.fromCoroutine(
            self._drain.wait(running, counted_at_first.append)
        )
        try:
            left = await drain
        except CancelledError:
            if self._state().role(container.number) is Role.STOPPING:
                log.info("{version}: drain ended: hanoverd stops", event="drain_ended", version=container.name)
            return None
        except (HanoverdError, OSError) as error:
            log.error(
                "{version}: cannot wait for its connections: {error}",
                event="drain_failed",
                version=container.name,
                error=error,
            )
            return None
        finally:
            del self._drains[container.number]
        seconds = self._clock.seconds() - begun
        log.info(
            "{version}: drained in {took}{cut}",
            event="drained",
            version=container.name,
            seconds=seconds,
            took=format_duration(seconds),
            connections=left,
            cut=f": {counted(left, 'connection')} cut" if left else "",
        )
        at_first = counted_at_first[0] if counted_at_first else None
        finished = None if at_first is None or left is None else max(0, at_first - left)
        self._reporter.connections_ended(Drained(container.name, seconds, finished, left))
        return left

    async def _stop_or_kill(self, container: Container) -> bool:
        """Stop the container, and return whether it was stopped without being killed by ``kill``."""
        work = Deferred.fromCoroutine(settled(Deferred.fromCoroutine(self._stop(container))))
        self._stops[container.number] = work
        try:
            return await work
        except CancelledError:
            log.info("{version}: killed: it did not stop in time", event="killed", version=container.name)
            return False
        finally:
            del self._stops[container.number]

    async def _stop(self, container: Container) -> bool:
        begun = self._clock.seconds()
        try:
            await self._stopper.stop(container)
        except EngineError as error:
            # Removing the container stops it too, with SIGKILL.
            log.error("{version}: cannot be stopped: {error}", event="stop_failed", version=container.name, error=error)
            return False
        seconds = self._clock.seconds() - begun
        log.info(
            "{version}: stopped in {took}",
            event="stopped",
            version=container.name,
            seconds=seconds,
            took=format_duration(seconds),
        )
        return True

    async def _try_to_keep(self, container: Container) -> bool:
        try:
            return await self._retention.keep(container)
        except EngineError as error:
            log.warn(
                "{version}: cannot be kept for a rollback: {error}",
                event="keep_failed",
                version=container.name,
                error=error,
            )
            return False
