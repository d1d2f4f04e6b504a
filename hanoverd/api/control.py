"""What can be asked of the daemon of one app while it runs, and what it can be told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd import __version__
from hanoverd.deploy.app import App
from hanoverd.deploy.events import CancelRequested, Paused, Resumed
from hanoverd.deploy.history import Record
from hanoverd.deploy.targets import Image, Rollback, Source
from hanoverd.versions.version import Running

log = Logger()

#: The states of an app.
LIVE, HANDING_OVER, DOWN, STOPPING = "live", "handing over", "down", "stopping"


class Control:
    """All in terms of JSON."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._orchestrator = app.orchestrator
        self._history = app.history

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no orders any more."""
        return self._orchestrator.state.is_stopping

    def status(self) -> Mapping[str, Any]:
        """How the app is; asks nobody."""
        app, state, last = self._app, self._orchestrator.state, self._history.last
        live = next(iter(app.live()), None)
        is_busy = last is not None and not last.is_over
        shown = HANDING_OVER if is_busy else LIVE if live is not None else DOWN
        return {
            "app": app.versions.app,
            "state": STOPPING if self.is_stopping else shown,
            "live": None if live is None else self._live(live),
            "ports": [] if live is None else [route.json() for route in app.routes.routes_to(live)],
            "draining": [one.name for one in app.draining()],
            "handover": None if last is None else last.json(),
            "paused": state.requests.is_paused,
            "held": self._held(),
            "kept": [
                {"generation": kept.number, "image": kept.image.name.reference, "image_id": kept.image.id}
                for kept in app.retention.kept()
            ],
            "rules_mended": app.reconciler.repairs,
            "pid": os.getpid(),
            "hanoverd": __version__,
        }

    def history(self) -> list[Mapping[str, Any]]:
        """The handovers since the daemon's start, the oldest first."""
        return [record.json() for record in self._history]

    def deploy(self, image: str | None, reason: str) -> int:
        """Start a handover, to what the source has, or for this once to ``image``; returns its ID."""
        return self._orchestrator.request(reason, Source() if image is None else Image(image))

    def rollback(self, generation: int | None, reason: str) -> int:
        """Start a handover to an earlier version, as it was; returns its ID."""
        return self._orchestrator.request(reason, Rollback(generation))

    def pause(self) -> None:
        """Hold what triggers handovers, other than by hand."""
        app = self._app.versions.app
        log.info("{app}: paused: triggers are held until `hanoverd resume {app}`", event="paused", app=app)
        self._orchestrator.send(Paused())

    def resume(self) -> list[str]:
        """Do what was held; returns the reasons."""
        held = self._held()
        log.info("{app}: resumed", event="resumed", app=self._app.versions.app)
        self._orchestrator.send(Resumed())
        return held

    async def cancel(self, why: str) -> Record | None:
        """Cancel the handover under way; fires when it is over, with what it has come to: ``live``, if it was too late.
        None if there is none.
        """
        record = self._history.last
        is_busy = record is not None and not record.is_over
        self._orchestrator.send(CancelRequested(why))
        if record is None or not is_busy:
            return None
        return await self.over(record.id)

    def is_known(self, number: int) -> bool:
        """Whether there is, or will be, a handover of this ID that is remembered."""
        return self._history.is_known(number)

    async def over(self, number: int) -> Record:
        """Wait until the handover ``number``, begun or not, is over.  Cancel frees the one who waits, alone."""
        while True:
            record = self._history.get(number)
            if record is not None and record.is_over:
                return record
            ended: Deferred[Record] = Deferred(lambda _: None)
            self._history.on_finish(lambda record, ended=ended: None if ended.called else ended.callback(record))  # type: ignore[misc]
            await ended

    def _held(self) -> list[str]:
        return [held.reason for held in self._orchestrator.state.requests.held]

    def _live(self, live: Running) -> Mapping[str, Any]:
        image = live.created.image
        return {
            "version": live.name,
            "image": image.name.reference,
            "image_id": image.id,
            "address": live.address,
            "since": self._app.routes.live_since,
        }
