"""The end of a version: it finishes its connections, is stopped, and is put away or removed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy.drain import Drain
from hanoverd.deploy.events import DrainEnded, Event, Gone, Kept
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.state import Role
from hanoverd.runtime.cancellation import Outcome, settled, shielded
from hanoverd.runtime.errors import EngineError, HanoverdError
from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Versions

log = Logger()


class Retirement:
    """Retires versions, any number at a time, each once at a time.

    ``role`` returns the role of a version as it is now: one that is made live again meanwhile is left alone.  ``send``
    takes what has happened.
    """

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        stopper: Stopper,
        drain: Drain,
        retention: Retention,
        role: Callable[[int], Role | None],
        send: Callable[[Event], object],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._stopper = stopper
        self._drain = drain
        self._retention = retention
        self._role = role
        self._send = send
        self._drains: dict[int, Deferred[int | None]] = {}
        self._stops: dict[int, Deferred[bool]] = {}
        self._retiring: dict[int, Outcome[None]] = {}
        #: Called with a version that is gone, or was put away, in its regular course.
        self.on_drained: Callable[[Container], object] = lambda _container: None

    def end_drain(self, number: int) -> None:
        """Do not wait for the connections of a version any longer."""
        drain = self._drains.get(number)
        if drain is not None:
            drain.cancel()

    def kill(self) -> None:
        """Kill what is being stopped."""
        for drain in list(self._drains.values()):
            drain.cancel()
        for stop in list(self._stops.values()):
            stop.cancel()

    async def retire(self, container: Container, *, drain: bool, keep: bool) -> None:
        """Drain, stop, and put away or remove a version; fires when that is over, and never fails: what it cannot do, it
        logs.

        A version that is live again is left alone.  Ignores cancellation: ``end_drain`` and ``kill`` are for that.
        """
        number = container.number
        before = self._retiring.get(number)
        work = Deferred.fromCoroutine(self._retire(before, container, drain=drain, keep=keep))
        outcome = self._retiring[number] = Outcome(work)
        await shielded(outcome.wait())
        if self._retiring.get(number) is outcome:
            del self._retiring[number]
        outcome.get()

    async def _retire(self, before: Outcome[None] | None, container: Container, *, drain: bool, keep: bool) -> None:
        if before is not None:
            # It was live again in between, and its last retirement is not quite over.
            await before.wait()
        begun = self._clock.seconds()
        left = await self._drained(container) if drain and self._role(container.number) is Role.DRAINING else None
        drain_seconds = self._clock.seconds() - begun
        self._send(DrainEnded(container.number))
        if self._role(container.number) not in (Role.DRAINING, Role.STOPPING):
            return
        begun = self._clock.seconds()
        is_stopped = await self._stopped(container)
        stop_seconds = self._clock.seconds() - begun
        is_kept = keep and is_stopped and await self._is_kept(container)
        is_gone = is_kept or await self._stopper.remove_or_log(container)
        if is_gone:
            log.info(
                "{version}: {what}",
                event="kept" if is_kept else "removed",
                version=container.name,
                what="kept for a rollback" if is_kept else "removed",
                connections=left,
                drain_seconds=drain_seconds,
                stop_seconds=stop_seconds,
            )
            self.on_drained(container)
        self._send(Kept(container.number) if is_kept else Gone(container.number))

    async def _drained(self, container: Container) -> int | None:
        """Wait for the connections of a version; returns how many are left, None if that is unknown."""
        running = self._versions.running(container.number)
        if running is None:
            return None
        log.info("{version}: draining", event="draining", version=container.name)
        drain = self._drains[container.number] = Deferred.fromCoroutine(self._drain.finished(running))
        begun = self._clock.seconds()
        try:
            left = await drain
        except CancelledError:
            if self._role(container.number) is Role.STOPPING:
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
        return left

    async def _stopped(self, container: Container) -> bool:
        """Stop it; whether that was done in good order."""
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
            # Removing it will stop it too, if less gently.
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

    async def _is_kept(self, container: Container) -> bool:
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
