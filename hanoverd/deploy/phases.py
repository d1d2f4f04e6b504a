"""The phases of a handover: each is logged with the time that it took, and recorded in the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.history.record import Record
from hanoverd.spec.container import Image, Recipe
from hanoverd.spec.differences import recipe_differences
from hanoverd.spec.events import OBTAINED, Event, VersionReference
from hanoverd.text.durations import format_duration
from hanoverd.text.short_id import short_id
from hanoverd.versions.version import Container, Running

log = Logger()


class Phases:
    """Logs and records the phases of one handover, which brings up the version ``container`` in the place of ``old``.

    ``event`` returns an event for hooks.  ``save`` saves the record as it is: if hanoverd is killed, it says how far it came.
    """

    def __init__(
        self,
        clock: IReactorTime,
        record: Record,
        container: Container,
        old: Running | None,
        event: Callable[[str, VersionReference, Image], Event],
        save: Callable[[], object],
    ) -> None:
        self._event = event
        self._save = save
        self._reference = container.version_reference
        self._version = record.version = container.name
        record.number = container.number
        record.old = "" if old is None else old.name
        self._old = old
        self._clock = clock
        self._record = record
        self._last = clock.seconds()

    def obtaining(self, source: str) -> None:
        """Log what the image is obtained from."""
        self._record.source = source
        self._save()
        log.info("{version}: {source}", event="obtaining", source=source, **self._about)

    def obtained(self, image: Image) -> None:
        """Report that the image was built, pulled or loaded."""
        log.info(
            "{version}: obtained {image} ({short}) in {took}",
            event="obtained",
            lifecycle=self._event(OBTAINED, self._reference, image),
            **self._image(image),
        )

    def reused(self, image: Image) -> None:
        """Report that the image of an earlier version is used."""
        log.info("{version}: uses {image} ({short})", event="obtained", **self._image(image))

    def rollback(self, target: str, image: Image) -> None:
        """Report that the version repeats the earlier version ``target``."""
        self._record.rollback_to = target
        log.info(
            "{version}: rollback to {target}: {image} ({short})",
            event="rollback",
            target=target,
            **self._image(image),
        )

    def image_missing(self, error: Exception) -> None:
        """Log that the image of an earlier version was removed."""
        log.warn("{version}: {error}; obtaining it", event="image_missing", version=self._version, error=error)

    def compared(self, recipe: Recipe) -> None:
        """Record what differs from the version that is live."""
        self._record.source = self._record.source or recipe.lineage.source
        if self._old is not None:
            self._record.compare(recipe_differences(self._old.created.recipe, recipe))
        self._save()

    def created(self) -> None:
        """Report that the container was created."""
        log.info("{version}: created in {took}", event="created", **self._took("created"))

    def stopped(self, old: Running) -> None:
        """Report that the live version ``old`` was stopped to make room for this one."""
        log.info(
            "{version}: stopped in {took}, before {successor} starts",
            event="stopped",
            version=old.name,
            successor=self._version,
            **self._time("stopped"),
        )

    def started(self, running: Running) -> None:
        """Report that the container was started."""
        log.info(
            "{version}: started in {took}: {address}",
            event="started",
            address=running.address,
            **self._took("started"),
        )

    def ready(self, lifecycle: Event) -> None:
        """Report that the version passed its readiness check."""
        log.info("{version}: ready in {took}", event="ready", lifecycle=lifecycle, **self._took("ready"))

    def routed(self) -> None:
        """Report that new connections are routed to the version."""
        log.info("{version}: routed in {took}", event="routed", **self._took("routed"))

    def _image(self, image: Image) -> Mapping[str, object]:
        """Record the image; returns its fields, and the fields of the time."""
        self._record.image, self._record.image_id = image.name.reference, image.id
        self._record.revision = image.revision or ""
        return {
            "image": image.name.reference,
            "image_id": image.id,
            "short": short_id(image.id),
            **self._took("obtained"),
        }

    @property
    def _about(self) -> Mapping[str, object]:
        """The fields that say what it is about."""
        return {"version": self._version, "handover": self._record.id}

    def _took(self, phase: str) -> Mapping[str, object]:
        """Record the end of a phase; returns the fields of the version and of its time."""
        return {**self._about, **self._time(phase)}

    def _time(self, phase: str) -> Mapping[str, object]:
        """Record the end of a phase; returns the fields of its time."""
        now = self._clock.seconds()
        seconds, self._last = now - self._last, now
        self._record.phases.append((phase, seconds))
        return {"seconds": seconds, "took": format_duration(seconds)}
