"""What can be asked of the daemon of one app while it runs, and what it can be told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from hanoverd import __version__
from hanoverd.guard import Guard
from hanoverd.kept import Keeper
from hanoverd.model.history import History, Record
from hanoverd.model.wishes import Earlier, FromSource, NamedImage
from hanoverd.retirement import Retirement
from hanoverd.switch import Switch
from hanoverd.triggers import Ordered, Triggers
from hanoverd.version import Live, Versions

#: The states of an app.
LIVE, HANDING_OVER, DOWN, STOPPING = "live", "handing over", "down", "stopping"


class Control:
    """All in terms of JSON."""

    def __init__(
        self,
        versions: Versions,
        switch: Switch,
        triggers: Triggers,
        retirement: Retirement,
        keeper: Keeper,
        guard: Guard,
        history: History,
    ) -> None:
        self._versions = versions
        self._switch = switch
        self._triggers = triggers
        self._retirement = retirement
        self._keeper = keeper
        self._guard = guard
        self._history = history

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no orders any more."""
        return self._triggers.is_stopping

    def status(self) -> Mapping[str, Any]:
        """How the app is; asks nobody."""
        live, last = self._switch.live, self._history.last
        is_busy = last is not None and not last.is_over
        state = HANDING_OVER if is_busy else LIVE if live is not None else DOWN
        return {
            "app": self._versions.app,
            "state": STOPPING if self.is_stopping else state,
            "live": None if live is None else self._live(live),
            "ports": [] if live is None else [route.json() for route in self._switch.routes(live)],
            "draining": self._retirement.draining,
            "handover": None if last is None else last.json(),
            "paused": self._triggers.is_paused,
            "held": list(self._triggers.held),
            "kept": [
                {"generation": kept.generation, "image": kept.image.name.reference, "image_id": kept.image.id}
                for kept in self._keeper.kept
            ],
            "rules_mended": self._guard.mended,
            "pid": os.getpid(),
            "hanoverd": __version__,
        }

    def history(self) -> list[Mapping[str, Any]]:
        """The handovers since the daemon's start, the oldest first."""
        return [record.json() for record in self._history]

    def deploy(self, image: str | None, reason: str) -> int:
        """Begin a handover, to what the source has, or for this once to ``image``; gives its ID."""
        wish = FromSource() if image is None else NamedImage(image)
        return self._order(reason, wish)

    def rollback(self, generation: int | None, reason: str) -> int:
        """Begin a handover to an earlier version, as it was; gives its ID."""
        return self._order(reason, Earlier(generation))

    def pause(self) -> None:
        """Hold what triggers handovers, other than by hand."""
        self._triggers.pause()

    def resume(self) -> list[str]:
        """Do what was held; gives the reasons."""
        held = list(self._triggers.held)
        self._triggers.resume()
        return held

    async def cancel(self, why: str) -> Record | None:
        """Cancel the handover under way; fires when it is over, with what it has come to: ``live``, if it was too late.
        None if there is none.
        """
        record = self._history.last
        is_busy = record is not None and not record.is_over
        self._triggers.cancel(why)
        if record is None or not is_busy:
            return None
        return await self.over(record.id)

    async def over(self, number: int) -> Record:
        """Wait until the handover ``number``, begun or not, is over.  Cancel frees the one who waits, alone."""
        while True:
            record = self._history.get(number)
            if record is not None and record.is_over:
                return record
            ended: Deferred[Record] = Deferred(lambda _: None)
            self._history.on_end(lambda record, ended=ended: None if ended.called else ended.callback(record))  # type: ignore[misc]
            await ended

    def _order(self, reason: str, wish: FromSource | NamedImage | Earlier) -> int:
        number = self._history.reserve()
        self._triggers.order(Ordered(reason, wish, number))
        return number

    def _live(self, live: Live) -> Mapping[str, Any]:
        image = live.running.created.image
        return {
            "version": live.name,
            "image": image.name.reference,
            "image_id": image.id,
            "address": live.running.address,
            "since": self._switch.live_since,
        }
