"""What people and programs are told of the life of an app: the log, the history, and hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy import effects as ef
from hanoverd.deploy import history
from hanoverd.deploy.history import History, Record
from hanoverd.deploy.state import Attempt, State
from hanoverd.network.routes import Live, Routes
from hanoverd.notify.hooks import Hooks
from hanoverd.spec.container import Image
from hanoverd.spec.events import DIED, DRAINED, FAILED, LIVE, Event, VersionReference
from hanoverd.text.durations import format_duration
from hanoverd.versions.version import Container, Running
from hanoverd.versions.versions import Versions

log = Logger()


class Reporter:
    """Logs, records and announces what the life of an app comes to."""

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        routes: Routes,
        hooks: Hooks,
        records: History,
        state: Callable[[], State],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._routes = routes
        self._hooks = hooks
        self._history = records
        self._state = state
        self._records: dict[int, Record] = {}
        #: Called when a handover has failed and no version is live; returns whether the daemon stops.
        self.stop_after_failure: Callable[[], bool] = lambda: False

    def started(self, attempt: Attempt) -> None:
        """An attempt has started, or starts anew after the engine was lost."""
        reasons = attempt.request.reasons
        log.info("handover: {why}", event="trigger", app=self._versions.app, reasons=reasons, why=", ".join(reasons))
        if attempt.id not in self._records:
            command = attempt.request.command
            self._records[attempt.id] = self._history.start(
                attempt.request.reasons, None if command is None else command.number
            )
        self._records[attempt.id].losses = attempt.losses

    def phases(self, attempt: Attempt, container: Container) -> Phases:
        """Where the story of an attempt reports its phases."""
        live = self._routes.live
        return Phases(self._clock, self._records[attempt.id], container.name, live[0].running.name if live else "")

    def event(self, kind: str, new: VersionReference, image: Image | None = None, reason: str = "") -> Event:
        """An event for hooks, about the version ``new``."""
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

    def notify(self, kind: str, new: VersionReference, image: Image | None = None, reason: str = "") -> None:
        """Notify the hooks of an event."""
        self._hooks.notify(self.event(kind, new, image, reason))

    def live(self, live: Live, replaced: Sequence[Live], seconds: float) -> None:
        """A version is live, ``seconds`` after its handover started, in the place of ``replaced``."""
        running = live.running
        log.info(
            "{version} is live: {routes}, {took} after the handover began",
            event="live",
            version=running.name,
            routes=self._routes.describe(live) or "no port is published",
            seconds=seconds,
            took=format_duration(seconds),
        )
        event = self.event(LIVE, running.container.version_reference, running.created.image)
        self._hooks.notify(replace(event, old=replaced[0].running.container.version_reference if replaced else None))

    def drained(self, container: Container) -> None:
        """A version was drained and stopped."""
        self.notify(DRAINED, container.version_reference)

    def died(self, running: Running, reason: str, output: str, effect: ef.CleanUpDead) -> None:
        """A live version has exited."""
        successor = None if effect.successor is None else self._name(effect.successor)
        log.error(
            "{version} was live and has {reason}: {so}; {next}{output}",
            event="exited",
            version=running.name,
            code=effect.code,
            reason=reason,
            successor=successor,
            restart_seconds=effect.delay,
            so="no version is live" if successor is None else f"{successor} takes its place",
            next=_next(effect.delay),
            output=output,
        )
        self.notify(DIED, running.container.version_reference, running.created.image, f"{reason}{output}")

    def report(self, effect: ef.Effect) -> None:
        """One of the effects that only report."""
        match effect:
            case ef.ReportLive(attempt):
                self._end(attempt, history.LIVE)
            case ef.ReportFailed():
                self._failed(effect)
            case ef.ReportCancelled(attempt):
                log.info(
                    "handover cancelled: {reason}",
                    event="cancelled",
                    app=self._versions.app,
                    reason=attempt.cancelled,
                )
                self._end(attempt, history.CANCELLED, attempt.cancelled)
            case ef.ReportEngineLost(_, error):
                log.error(
                    "{error}: the handover begins again when it is back",
                    event="engine_lost",
                    app=self._versions.app,
                    error=error,
                )
            case ef.ReportDropped(command, why):
                self._history.finish(self._history.start([command.reason], command.number), history.CANCELLED, why)
            case ef.ReportHeld(reason):
                log.info(
                    "{reason}: held, because hanoverd is paused", event="held", app=self._versions.app, reason=reason
                )
            case ef.ReportUnhealthy():
                self._unhealthy(effect)
            case ef.ReportReinstatementFailed(number, error, delay):
                log.error(
                    "{version} could not be made live again: {error}; {next}",
                    event="reinstate_failed",
                    version=self._name(number),
                    error=error,
                    retry_seconds=delay,
                    next="not tried again" if delay is None else f"the next try follows in {format_duration(delay)}",
                )
            case ef.ReportAdoptionFailed(error, delay):
                log.error(
                    "what an earlier run left could not be taken over: {error}: trying again in {delay}",
                    event="adoption_failed",
                    app=self._versions.app,
                    error=error,
                    retry_seconds=delay,
                    delay=format_duration(delay),
                )
            case _:
                raise AssertionError(f"not a report: {effect}")

    def _failed(self, effect: ef.ReportFailed) -> None:
        record = self._records[effect.attempt.id]
        self._end(effect.attempt, history.FAILED, effect.error)
        version = self._name(effect.number)
        log.error("{error}", event="failed", version=version, error=effect.error)
        event = self.event(FAILED, VersionReference(version), reason=effect.error)
        self._hooks.notify(replace(event, image=record.image, image_id=record.image_id))
        serving = None if effect.serving is None else self._name(effect.serving)
        if serving is None and effect.delay is None and self.stop_after_failure():
            return
        log.info(
            "{who}; {next}",
            event="waiting" if effect.delay is None else "restarting",
            app=self._versions.app,
            serving=serving,
            restart_seconds=effect.delay,
            who="no version is live" if serving is None else f"{serving} goes on serving",
            next=_next(effect.delay),
        )

    def _unhealthy(self, effect: ef.ReportUnhealthy) -> None:
        name = self._name(effect.number)
        if effect.successor is None:
            log.error(
                "{version} is replaced: {reason}; {next}",
                event="replacing",
                version=name,
                reason=effect.reason,
                restart_seconds=effect.delay,
                next=_next(effect.delay),
            )
            return
        log.error(
            "{version} has not settled: {reason}: {successor} takes its place; waiting for the next trigger (SIGHUP)",
            event="rolled_back",
            version=name,
            reason=effect.reason,
            successor=self._name(effect.successor),
        )
        running = self._versions.running(effect.number)
        version = VersionReference(name) if running is None else running.container.version_reference
        self.notify(FAILED, version, reason=effect.reason)

    def _end(self, attempt: Attempt, outcome: str, why: str = "") -> None:
        record = self._records.pop(attempt.id, None)
        if record is not None:
            self._history.finish(record, outcome, why)

    def _name(self, number: int) -> str:
        return self._versions.container(number).name


class Phases:
    """Logs each phase of a handover with the time that it took, and records it."""

    def __init__(self, clock: IReactorTime, record: Record, name: str, old: str) -> None:
        self._name = record.version = name
        record.old = old
        self._clock = clock
        self._record = record
        self._begun = clock.seconds()

    def obtained(self, image: Image) -> None:
        """The image was built, pulled or loaded."""
        took = self._image(image)
        log.info(
            "{version}: obtained {image} ({image_id}) in {took}",
            event="obtained",
            version=self._name,
            image=image.name.reference,
            image_id=image.id,
            **took,
        )

    def has(self, image: Image) -> None:
        """The image was there before."""
        took = self._image(image)
        log.info(
            "{version}: has {image} ({image_id}) in {took}",
            event="obtained",
            version=self._name,
            image=image.name.reference,
            image_id=image.id,
            **took,
        )

    def rollback(self, target: str, image: Image) -> None:
        """The version repeats ``target``."""
        self._record.rollback_to = target
        took = self._image(image)
        log.info(
            "{version}: rollback to {target}: {image} ({image_id})",
            event="rollback",
            version=self._name,
            target=target,
            image=image.name.reference,
            image_id=image.id,
            **took,
        )

    def created(self) -> None:
        """The container was created."""
        log.info("{version}: created in {took}", event="created", version=self._name, **self._done("created"))

    def started(self, running: Running) -> None:
        """The container was started."""
        log.info(
            "{version}: started at {address} in {took}",
            event="started",
            version=self._name,
            address=running.address,
            **self._done("started"),
        )

    def ready(self) -> None:
        """The version passed its readiness check."""
        log.info("{version}: ready in {took}", event="ready", version=self._name, **self._done("ready"))

    def flipped(self) -> None:
        """New connections are routed to the version."""
        log.info("{version}: flipped in {took}", event="flipped", version=self._name, **self._done("flipped"))

    def stopped(self, old: Running) -> None:
        """The version ``old`` was stopped to make room for this one."""
        log.info(
            "{successor}: stopped {version} in {took}",
            event="stopped",
            version=old.name,
            successor=self._name,
            **self._done("stopped"),
        )

    def _image(self, image: Image) -> dict[str, object]:
        self._record.image, self._record.image_id = image.name.reference, image.id
        return self._done("obtained")

    def _done(self, phase: str) -> dict[str, object]:
        """Record the end of a phase; returns the fields of its time."""
        now = self._clock.seconds()
        seconds, self._begun = now - self._begun, now
        self._record.phases.append((phase, seconds))
        return {"seconds": seconds, "took": format_duration(seconds)}


def _next(delay: float | None) -> str:
    if delay is None:
        return "waiting for the next trigger (SIGHUP)"
    return f"the same image is started again in {format_duration(delay)}"
