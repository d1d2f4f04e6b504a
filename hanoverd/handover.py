"""A handover, from obtaining the image to the flip: the whole story, in one place."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.discards import Discards
from hanoverd.errors import HanoverdError, NameInUse
from hanoverd.hooks import Hooks
from hanoverd.model.container import Image
from hanoverd.model.durations import format_duration
from hanoverd.model.events import LIVE, OBTAINED, READY, Event
from hanoverd.sources import Progress, Source
from hanoverd.switch import Switch
from hanoverd.version import Created, Live, Versions

log = Logger()


class Handovers:
    """Brings up new versions of one app and makes them live."""

    def __init__(
        self,
        clock: IReactorTime,
        source: Source,
        versions: Versions,
        switch: Switch,
        discards: Discards,
        progress: Progress,
        hooks: Hooks,
        *,
        overlap: bool,
    ) -> None:
        self._clock = clock
        self._source = source
        self._versions = versions
        self._switch = switch
        self._discards = discards
        self._progress = progress
        self._hooks = hooks
        self.overlap = overlap
        #: What the image that was obtained last was made of, in its source's words.
        self.revision: str | None = None
        #: Set when the daemon stops: what would only be stopped again is not started any more.
        self.closing = False

    async def hand_over(self, number: int, revision: str | None = None, again: Image | None = None) -> Live:
        """Obtain an image (of ``revision``, else the newest), bring up version ``number`` from it beside the live one,
        and flip to it.  ``again`` is an image that was obtained before.

        Fires when it is live; the version that was live before still runs, for its connections' sake, and is the
        caller's to retire.  Fails with any ``HanoverdError``: then nothing is left of the new version, and the old
        one goes on.  Cancel before the flip does the same, and aborts what is under way; during the flip it is
        not heard.
        """
        name = self._versions.name(number)
        old = self._switch.live
        begun = self._clock.seconds()
        told = _Phases(self._clock, name)

        image = again or await self._obtain(name, revision)
        told.phase(f"{'has' if again else 'obtained'} {image.name.reference} ({image.id})")
        try:
            created = await self._versions.create(image, number)
            told.phase("created")
            if self.overlap or self._switch.live is None:
                live = await self._bring_up(created, told)
            else:
                live = await self._bring_up_alone(created, self._switch.live, told)
        except NameInUse:
            raise
        except Exception:  # A cancel too: whatever happened, this version is not to be.
            await uncancellable(self._discards.discard(name))
            raise
        log.info(
            "{name} is live: {routes}, {total} after the handover began",
            name=name,
            routes=self._switch.describe(live) or "no port is published",
            total=format_duration(self._clock.seconds() - begun),
        )
        self._hooks.tell(replace(self._event(LIVE, name, image), old=old.name if old else ""))
        return live

    def _event(self, kind: str, name: str, image: Image) -> Event:
        live = self._switch.live
        return Event(
            kind,
            self._versions.app,
            new=name,
            old=live.name if live is not None else "",
            image=image.name.reference,
            image_id=image.id,
        )

    async def _obtain(self, name: str, revision: str | None) -> Image:
        log.info("{name}: {what}", name=name, what=self._source.describe())
        image = await self._source.obtain(self._progress, revision)
        self.revision = image.revision
        self._hooks.tell(self._event(OBTAINED, name, image))
        return image

    async def _bring_up(self, created: Created, told: _Phases) -> Live:
        running = await self._versions.start(created)
        told.phase(f"started at {running.address}")
        ready = await self._versions.wait_until_ready(running)
        told.phase("ready")
        await self._hooks.ask(self._event(READY, ready.name, created.image))
        live = await self._switch.flip(ready)
        told.phase("flipped")
        return live

    async def _bring_up_alone(self, created: Created, old: Live, told: _Phases) -> Live:
        """Without overlap: the old version ends before the new one starts, and is started again if that fails."""
        try:
            # Refused is a better answer than none, which is what a stopped container gives.
            await self._switch.out()
            await self._versions.stop(old.name)
            told.phase(f"stopped {old.name}")
            return await self._bring_up(created, told)
        except Exception:  # A cancel too: until the new version is live, the old one is the one to serve.
            if not self.closing:
                await uncancellable(Deferred.fromCoroutine(self._bring_back(old)))
            raise

    async def _bring_back(self, old: Live) -> None:
        try:
            running = await self._versions.start(old.running.created, again=True)
            await self._switch.flip(await self._versions.wait_until_ready(running))
        except (HanoverdError, CancelledError) as error:
            log.error("{name} could not be started again: {error}. No version is live", name=old.name, error=error)
            await uncancellable(self._discards.discard(old.name))
        else:
            log.info("{name} was started again and is live", name=old.name)


class _Phases:
    """Logs each phase of a handover with the time that it took."""

    def __init__(self, clock: IReactorTime, name: str) -> None:
        self._clock = clock
        self._name = name
        self._begun = clock.seconds()

    def phase(self, what: str) -> None:
        """``what`` is done."""
        now = self._clock.seconds()
        log.info("{name}: {what} in {time}", name=self._name, what=what, time=format_duration(now - self._begun))
        self._begun = now
