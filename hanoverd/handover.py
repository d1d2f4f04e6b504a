"""A handover, from obtaining the image to the flip: the whole story, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.discards import Discards
from hanoverd.errors import HanoverdError, NameInUse, VersionFailed
from hanoverd.hooks import Hooks
from hanoverd.kept import Keeper
from hanoverd.model.container import Image, Recipe
from hanoverd.model.durations import format_duration
from hanoverd.model.events import LIVE, NOBODY, OBTAINED, READY, Event, Party
from hanoverd.model.history import Record
from hanoverd.model.wishes import Again, Earlier, FromSource, NamedImage, Wish
from hanoverd.sources import Progress, Source
from hanoverd.switch import Switch
from hanoverd.version import Created, Live, Versions

log = Logger()


class Handovers:
    """Brings up new versions of one app and makes them live; ``named`` gives the source of an image's name."""

    def __init__(
        self,
        clock: IReactorTime,
        source: Source,
        named: Callable[[str], Source],
        versions: Versions,
        switch: Switch,
        keeper: Keeper,
        discards: Discards,
        progress: Progress,
        hooks: Hooks,
        *,
        overlap: bool,
    ) -> None:
        self._clock = clock
        self._source = source
        self._named = named
        self._versions = versions
        self._switch = switch
        self._keeper = keeper
        self._discards = discards
        self._progress = progress
        self._hooks = hooks
        self.overlap = overlap
        #: What the image that the source gave last was made of, in its words.
        self.revision: str | None = None
        #: Set when the daemon stops: what would only be stopped again is not started any more.
        self.closing = False

    async def hand_over(self, number: int, wish: Wish = FromSource(), record: Record | None = None) -> Live:  # noqa: B008
        """Obtain what ``wish`` asks for, bring up version ``number`` of it beside the live one, and flip to it; ``record``
        is told on the way.

        Fires when it is live; the version that was live before still runs, for its connections' sake, and is the
        caller's to retire.  Fails with any ``HanoverdError``: then nothing is left of the new version, and the old
        one goes on.  Cancel before the flip does the same, and aborts what is under way; during the flip it is
        not heard.
        """
        name = self._versions.name(number)
        old = self._switch.live
        begun = self._clock.seconds()
        told = _Phases(self._clock, record or Record(0, "", 0.0), name, old)

        recipe = await self._recipe(wish, told)
        image = recipe.image
        told.obtained(image, "has" if isinstance(wish, (Again, Earlier)) else "obtained")
        try:
            created = await self._versions.create(recipe, number)
            told.phase("created")
            if self.overlap or self._switch.live is None:
                live = await self._bring_up(created, told)
            else:
                live = await self._bring_up_alone(created, self._switch.live, told)
        except NameInUse:
            raise
        except Exception:  # A cancel too: whatever happened, this version is not to be.
            self._keeper.pass_over(image)
            await uncancellable(self._discards.discard(name))
            raise
        log.info(
            "{name} is live: {routes}, {total} after the handover began",
            name=name,
            routes=self._switch.describe(live) or "no port is published",
            total=format_duration(self._clock.seconds() - begun),
        )
        self._hooks.tell(replace(self._event(LIVE, live.party, image), old=NOBODY if old is None else old.party))
        return live

    def _event(self, kind: str, new: Party, image: Image) -> Event:
        live = self._switch.live
        return Event(
            kind,
            self._versions.app,
            new=new,
            old=NOBODY if live is None else live.party,
            image=image.name.reference,
            image_id=image.id,
        )

    async def _recipe(self, wish: Wish, told: _Phases) -> Recipe:
        match wish:
            case Again(recipe):
                return recipe
            case Earlier(generation):
                return await self._keeper.recipe(generation, self._switch.live)
            case NamedImage(reference):
                return self._versions.recipe(await self._obtain(self._named(reference), None, told))
            case FromSource(revision):
                image = await self._obtain(self._source, revision, told)
                self.revision = image.revision
                return self._versions.recipe(image)

    async def _obtain(self, source: Source, revision: str | None, told: _Phases) -> Image:
        log.info("{name}: {what}", name=told.name, what=source.describe())
        image = await source.obtain(self._progress, revision)
        self._hooks.tell(self._event(OBTAINED, Party(told.name), image))
        return image

    async def _bring_up(self, created: Created, told: _Phases) -> Live:
        running = await self._versions.start(created)
        told.phase("started", f"at {running.address}")
        if not self._switch.can_lead_to(running):
            raise VersionFailed(
                f"{running.name} failed: it has not all the ports that are published now: it was made with other ones"
            )
        ready = await self._versions.wait_until_ready(running)
        told.phase("ready")
        await self._hooks.ask(self._event(READY, Party(created.name, created.id), created.image))
        live = await self._switch.flip(ready)
        told.phase("flipped")
        return live

    async def _bring_up_alone(self, created: Created, old: Live, told: _Phases) -> Live:
        """Without overlap: the old version ends before the new one starts, and is started again if that fails."""
        try:
            # Refused is a better answer than none, which is what a stopped container gives.
            await self._switch.out()
            await self._versions.stop(old.name)
            told.phase("stopped", old.name)
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
    """Logs each phase of a handover with the time that it took, and has it on record."""

    def __init__(self, clock: IReactorTime, record: Record, name: str, old: Live | None) -> None:
        self.name = record.version = name
        record.old = old.name if old is not None else ""
        self._clock = clock
        self._record = record
        self._begun = clock.seconds()

    def obtained(self, image: Image, how: str) -> None:
        """The image is there, and was so before (``has``) or not (``obtained``)."""
        self._record.image, self._record.image_id = image.name.reference, image.id
        self.phase("obtained", f"{image.name.reference} ({image.id})", how)

    def phase(self, what: str, detail: str = "", how: str = "") -> None:
        """``what`` is done; ``detail``, and ``how`` in its place, are for the log."""
        now = self._clock.seconds()
        time = now - self._begun
        self._record.phases.append((what, time))
        said = f"{how or what} {detail}".strip()
        log.info("{name}: {what} in {time}", name=self.name, what=said, time=format_duration(time))
        self._begun = now
