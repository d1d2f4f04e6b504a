"""Reports the life of an app: to the log, where hooks and all others who show it observe it, and to the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy import effects as ef
from hanoverd.deploy.history import History
from hanoverd.deploy.phases import Phases
from hanoverd.deploy.state import Attempt, Kind, State
from hanoverd.history import record as history
from hanoverd.history.record import Drained, Record
from hanoverd.network.routes import Live, Routes
from hanoverd.spec.container import Image
from hanoverd.spec.events import DIED, DRAINED, FAILED, LIVE, Event, VersionReference
from hanoverd.text.durations import format_duration
from hanoverd.text.short_id import short_id
from hanoverd.versions.version import Container, Running
from hanoverd.versions.versions import Versions

log = Logger()


class Reporter:
    """Logs and records what happens to an app."""

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        routes: Routes,
        records: History,
        state: Callable[[], State],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._routes = routes
        self._history = records
        self._state = state
        self._records: dict[int, Record] = {}
        #: Called when a handover has failed and no version is live; returns whether the daemon stops.
        self.stop_after_failure: Callable[[], bool] = lambda: False

    # -- handovers

    def started(self, attempt: Attempt) -> None:
        """Report that an attempt starts, or starts again after the engine was lost."""
        reasons = attempt.request.reasons
        if attempt.id not in self._records:
            command = attempt.request.command
            number = None if command is None else command.number
            kind = history.RESTART if attempt.kind is Kind.RESTART else history.OTHER
            self._records[attempt.id] = self._history.start(reasons, number, kind)
        record = self._records[attempt.id]
        record.losses = attempt.losses
        log.info(
            "{app}: handover {handover}: {trigger}",
            event="trigger",
            app=self._versions.app,
            handover=record.id,
            reasons=reasons,
            trigger=", ".join(reasons),
        )

    def phases(self, attempt: Attempt, container: Container) -> Phases:
        """Return what reports the phases of an attempt."""
        live, record = self._routes.live, self._records[attempt.id]
        old = live[0].running if live else None
        return Phases(self._clock, record, container, old, self.event, lambda: self._history.progressed(record))

    def report(self, effect: ef.Effect) -> None:  # noqa: C901  # one case an effect
        """Report what one of the effects named ``Report…`` says."""
        match effect:
            case ef.ReportLive(attempt):
                self._finish(attempt, history.LIVE)
            case ef.ReportFailed():
                self._failed(effect)
            case ef.ReportCancelled(attempt):
                self._cancelled(attempt)
            case ef.ReportUnchanged(attempt, live):
                self._unchanged(attempt, live)
            case ef.ReportEngineLost(_, error):
                self._engine_lost(error)
            case ef.ReportDropped(command, why):
                self._end(self._history.start([command.reason], command.number), history.CANCELLED, why)
            case ef.ReportHeld(reason):
                self._held(reason)
            case ef.ReportUnhealthy(successor=None):
                self._unhealthy(effect)
            case ef.ReportUnhealthy():
                self._rolled_back(effect)
            case ef.ReportReinstatementFailed():
                self._reinstatement_failed(effect)
            case ef.ReportAdoptionFailed(error, delay):
                self._adoption_failed(error, delay)
            case _:
                raise AssertionError(f"not a report: {effect}")

    def _failed(self, effect: ef.ReportFailed) -> None:
        record = self._records[effect.attempt.id]
        version = self._name(effect.number)
        event = self.event(FAILED, VersionReference(version), reason=effect.error)
        log.error(
            "{version}: failed: {error}",
            event="failed",
            version=version,
            handover=record.id,
            error=effect.error,
            lifecycle=replace(event, image=record.image, image_id=record.image_id),
        )
        self._finish(effect.attempt, history.FAILED, effect.error)
        if effect.serving is None and effect.delay is None and self.stop_after_failure():
            return
        self._next(effect.serving, effect.delay)

    def _cancelled(self, attempt: Attempt) -> None:
        record = self._records.get(attempt.id)
        log.info(
            "{app}: handover cancelled: {reason}",
            event="cancelled",
            app=self._versions.app,
            handover=None if record is None else record.id,
            reason=attempt.cancelled,
        )
        self._finish(attempt, history.CANCELLED, attempt.cancelled)

    def _unchanged(self, attempt: Attempt, live: int) -> None:
        record = self._records[attempt.id]
        record.version = name = self._name(live)
        log.info(
            "{version}: unchanged, nothing to do: {image} ({short}) is its image already, and its settings are the same",
            event="unchanged",
            version=name,
            handover=record.id,
            image=record.image,
            image_id=record.image_id,
            short=short_id(record.image_id),
        )
        self._finish(attempt, history.UNCHANGED, f"{name} has this image and these settings already")

    def _engine_lost(self, error: str) -> None:
        log.error(
            "{app}: engine lost: {error}; the handover starts again when it is back",
            event="engine_lost",
            app=self._versions.app,
            error=error,
        )

    def _held(self, reason: str) -> None:
        log.info(
            "{app}: held until `hanoverd resume {app}`: {reason}", event="held", app=self._versions.app, reason=reason
        )

    def _next(self, serving: int | None, delay: float | None) -> None:
        """Log what serves after a failure, and what comes next."""
        name = None if serving is None else self._name(serving)
        log.info(
            "{app}: {now}; {next}",
            event="waiting" if delay is None else "restarting",
            app=self._versions.app,
            serving=name,
            restart_seconds=delay,
            now="no version is live" if name is None else f"{name} serves",
            next=_next_step(delay),
        )

    # -- live versions

    def live(self, live: Live, replaced: Sequence[Live], seconds: float) -> None:
        """Report that a version is live in the place of ``replaced``, ``seconds`` after its handover started."""
        running = live.running
        event = self.event(LIVE, running.container.version_reference, running.created.image)
        log.info(
            "{version}: live in {took}: {routes}",
            event="live",
            version=running.name,
            routes=self._routes.describe(live),
            seconds=seconds,
            took=format_duration(seconds),
            lifecycle=replace(event, old=replaced[0].running.container.version_reference if replaced else None),
        )

    def connections_ended(self, drained: Drained) -> None:
        """Record how the connections of a replaced version ended."""
        self._history.drained(drained)

    def retired(
        self, container: Container, connections: int | None, drain_seconds: float, stop_seconds: float, *, is_kept: bool
    ) -> None:
        """Report that a replaced version was drained and stopped, and is gone or kept."""
        log.info(
            "{version}: {what}",
            event="kept" if is_kept else "removed",
            version=container.name,
            what="kept for a rollback" if is_kept else "removed",
            connections=connections,
            drain_seconds=drain_seconds,
            stop_seconds=stop_seconds,
            lifecycle=self.event(DRAINED, container.version_reference),
        )

    def died(self, running: Running, reason: str, output: str, effect: ef.CleanUpDead) -> None:
        """Report that a live version has exited: how, and what it printed last."""
        log.error(
            "{version}: {reason} while it was live{output}",
            event="exited",
            version=running.name,
            code=effect.code,
            reason=reason,
            successor=None if effect.successor is None else self._name(effect.successor),
            restart_seconds=effect.delay,
            output=output,
            lifecycle=self.event(DIED, running.container.version_reference, running.created.image, f"{reason}{output}"),
        )
        self._next(effect.successor, effect.delay)

    def _unhealthy(self, effect: ef.ReportUnhealthy) -> None:
        log.error(
            "{version}: unhealthy: {reason}; {next}",
            event="replacing",
            version=self._name(effect.number),
            reason=effect.reason,
            restart_seconds=effect.delay,
            next=_next_step(effect.delay),
        )

    def _rolled_back(self, effect: ef.ReportUnhealthy) -> None:
        assert effect.successor is not None  # noqa: S101  # as the caller found
        version = self._name(effect.number)
        running = self._versions.running(effect.number)
        reference = VersionReference(version) if running is None else running.container.version_reference
        log.error(
            "{version}: unhealthy within its settle time: {reason}; back to {successor}",
            event="rolled_back",
            version=version,
            reason=effect.reason,
            successor=self._name(effect.successor),
            lifecycle=self.event(FAILED, reference, reason=effect.reason),
        )

    def reinstated(self, running: Running, *, was_stopped: bool) -> None:
        """Report that a version that was live before is live again."""
        log.info(
            "{version}: {restarted}live again",
            event="reinstated",
            version=running.name,
            restarted="restarted, " if was_stopped else "",
        )

    def _reinstatement_failed(self, effect: ef.ReportReinstatementFailed) -> None:
        delay = effect.delay
        log.error(
            "{version}: cannot be made live again: {error}; {next}",
            event="reinstate_failed",
            version=self._name(effect.number),
            error=effect.error,
            retry_seconds=delay,
            next="not retried" if delay is None else f"retrying in {format_duration(delay)}",
        )

    def _adoption_failed(self, error: str, delay: float) -> None:
        log.error(
            "{app}: cannot take over the containers of an earlier run: {error}; retrying in {delay}",
            event="adoption_failed",
            app=self._versions.app,
            error=error,
            retry_seconds=delay,
            delay=format_duration(delay),
        )

    # -- hooks

    def event(self, kind: str, new: VersionReference, image: Image | None = None, reason: str = "") -> Event:
        """Return an event for hooks, about the version ``new``."""
        live = self._routes.live
        return Event(
            kind,
            self._versions.app,
            new=new,
            old=live[0].running.container.version_reference if live else None,
            image="" if image is None else image.name.reference,
            image_id="" if image is None else image.id,
            reason=reason,
        )

    def _finish(self, attempt: Attempt, outcome: str, why: str = "") -> None:
        record = self._records.pop(attempt.id, None)
        if record is not None:
            self._end(record, outcome, why)

    def _end(self, record: Record, outcome: str, why: str) -> None:
        if record.is_over:
            # What counts handovers counts each once.
            return
        self._history.finish(record, outcome, why)
        # For the stream of events: the log has the outcome already.
        log.debug(
            "{app}: handover {handover} ended: {outcome}",
            event="handover_ended",
            app=self._versions.app,
            handover=record.id,
            outcome=record.outcome,
            record=record.json(),
        )

    def _name(self, number: int) -> str:
        return self._versions.container(number).name


def _next_step(delay: float | None) -> str:
    if delay is None:
        return "waiting for the next trigger"
    return f"restarting the same image in {format_duration(delay)}"
