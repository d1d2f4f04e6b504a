"""The commands and questions that a daemon accepts while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd import __version__
from hanoverd.api.status import (
    DOWN,
    HANDING_OVER,
    LIVE,
    STOPPING,
    AppStatus,
    LiveStatus,
    VersionStatus,
    listed_version,
    version_status,
)
from hanoverd.deploy.app import App
from hanoverd.deploy.events import CancelRequested, Paused, Resumed
from hanoverd.deploy.retention import Kept
from hanoverd.deploy.state import Role
from hanoverd.deploy.targets import Image, Rollback, Source
from hanoverd.history.record import HistoryQuery, Origin, Record
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.together import together
from hanoverd.spec.differences import Difference
from hanoverd.versions.version import Running

log = Logger()


class Control:
    """Controls one app.  ``on_stop`` is called to stop the daemon."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._orchestrator = app.orchestrator
        self._history = app.history
        self.on_stop: Callable[[], object] = lambda: None

    @property
    def is_stopping(self) -> bool:
        """Whether the daemon is stopping, and accepts no more commands."""
        return self._orchestrator.state.is_stopping

    def status(self) -> AppStatus:
        """Return the app's status, without asking the engine."""
        app, state, last = self._app, self._orchestrator.state, self._history.last
        live = next(iter(app.live()), None)
        routed = next(iter(app.routes.live), None)
        is_busy = last is not None and not last.is_over
        shown = HANDING_OVER if is_busy else LIVE if live is not None else DOWN
        return AppStatus(
            app=app.versions.app,
            state=STOPPING if self.is_stopping else shown,
            live=None if live is None else self._live(live),
            ports=() if routed is None else tuple(route.json() for route in routed.routes),
            draining=tuple(one.name for one in app.draining()),
            handover=None if last is None else last.json(),
            paused=state.requests.is_paused,
            held=self._held(),
            held_count=state.requests.held_count,
            kept=tuple(self._kept(one) for one in app.retention.kept()),
            repairs=app.reconciler.repairs,
            pid=os.getpid(),
            hanoverd=__version__,
        )

    async def versions(self) -> list[VersionStatus]:
        """Return all versions that have a container, the newest first; fails with the ``EngineError`` family."""
        state = self._orchestrator.state
        listed = await self._app.versions.listed()
        found = [
            listed_version(self._app.versions.app, one, (state.role(container.number) or Role.STOPPING).value)
            for container, one in listed
            if container.number >= 0
        ]
        return sorted(found, key=lambda one: -one.number)

    async def diff(self) -> tuple[str, tuple[Difference, ...]]:
        """Return the name of the live version, and what the next handover would change about it.

        Nothing is built or pulled.  Fails with ``HanoverdError``: with ``ControlError`` if no version is live.
        """
        live = next(iter(self._app.live()), None)
        if live is None:
            raise ControlError("no version is live: the next handover starts one")
        return live.name, await self._app.next_differences(live)

    async def connections(self) -> dict[str, int | None]:
        """Return how many TCP connections the live version and the draining ones have, by ``live`` and ``draining``.

        None where that is not known.  The connections of the host are listed once a second at most.
        """
        count = self._app.conntrack.count_lately
        roles = {"live": self._app.live(), "draining": self._app.draining()}
        addresses = {role: [one for running in found for one in running.addresses] for role, found in roles.items()}
        counted = await together([Deferred.fromCoroutine(count(found)) for found in addresses.values()])
        return dict(zip(roles, counted, strict=True))

    async def history(self, query: HistoryQuery) -> list[dict[str, Any]]:
        """Return the handovers that are asked for, of earlier runs too, as JSON data, the oldest first."""
        return await self._history.search(query)

    def deploy(
        self,
        image: str | None,
        reason: str,
        ready_timeout: float | None = None,
        *,
        if_changed: bool = False,
        origin: Origin | None = None,
    ) -> int:
        """Start a handover to what the source has, or to ``image`` this once; return its ID.

        ``ready_timeout`` is the time limit for its version to be ready, in seconds; None for the app's.  With
        ``if_changed`` it is skipped if it would change nothing.
        """
        return self._orchestrator.request(
            reason,
            Source() if image is None else Image(image),
            ready_timeout,
            if_changed=if_changed,
            origin=origin,
        )

    def rollback(self, number: int | None, reason: str, origin: Origin | None = None) -> int:
        """Start a handover to version ``number``, or to the version before the live one; return its ID."""
        return self._orchestrator.request(reason, Rollback(number), origin=origin)

    def pause(self) -> None:
        """Hold all triggers, but not the commands, until ``resume``."""
        app = self._app.versions.app
        log.info("{app}: paused: triggers are held until `hanoverd resume {app}`", event="paused", app=app)
        self._orchestrator.send(Paused())

    def resume(self) -> tuple[str, ...]:
        """End the pause, and start a handover if triggers were held; return their reasons."""
        held = self._held()
        log.info("{app}: resumed", event="resumed", app=self._app.versions.app)
        self._orchestrator.send(Resumed())
        return held

    def stop(self) -> None:
        """Stop the app and the daemon, also with ``--on-exit keep``."""
        self._app.end()
        self.on_stop()

    async def cancel(self, why: str) -> Record | None:
        """Cancel the current handover.

        Fires when it has ended, with its record: its outcome is ``live``, or ``unchanged``, if it was too late.  None without
        a handover.
        """
        record = self._history.last
        is_busy = record is not None and not record.is_over
        self._orchestrator.send(CancelRequested(why))
        if record is None or not is_busy:
            return None
        return await self.ended(record.id)

    def is_known(self, handover: int) -> bool:
        """Return whether there is a handover of this ID, or will be, that is remembered."""
        return self._history.is_known(handover)

    async def ended(self, handover: int) -> Record:
        """Wait until a handover, started or not, has ended.  A cancel ends only the wait."""
        while True:
            record = self._history.get(handover)
            if record is not None and record.is_over:
                return record
            ended: Deferred[Record] = Deferred()
            self._history.on_finish(ended.callback)
            try:
                await ended
            finally:
                # Not before the next handover ends, if this wait was cancelled.
                self._history.withdraw(ended.callback)

    def _held(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(held.reason for held in self._orchestrator.state.requests.held))

    def _live(self, live: Running) -> LiveStatus:
        created = live.created
        recipe = created.recipe
        fields = version_status(
            self._app.versions.app, live.number, Role.LIVE.value, recipe.image, recipe.lineage, created.at
        )
        return LiveStatus(**fields, address=live.address, since=self._app.routes.live_since)

    def _kept(self, kept: Kept) -> VersionStatus:
        state = self._orchestrator.state.role(kept.number) or Role.KEPT
        return VersionStatus(
            **version_status(self._app.versions.app, kept.number, state.value, kept.image, kept.lineage, kept.created)
        )
