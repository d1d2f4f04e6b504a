"""The life of an app: which version is live, which comes next, which are on their way out."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.adoption import Adoption
from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.concurrency.tasks import Tasks
from hanoverd.departures import Departures
from hanoverd.discards import Discards
from hanoverd.edges.conntrack import Conntrack
from hanoverd.errors import EngineUnreachable, HanoverdError
from hanoverd.handover import Handovers
from hanoverd.hooks import Hooks
from hanoverd.kept import Keeper
from hanoverd.model import history
from hanoverd.model.container import Recipe
from hanoverd.model.durations import format_duration
from hanoverd.model.events import DIED, FAILED, NOBODY, Event, Party
from hanoverd.model.history import History, Record
from hanoverd.model.restart import RestartPolicy
from hanoverd.model.wishes import Again, Wish
from hanoverd.retirement import Old
from hanoverd.revival import Revival
from hanoverd.switch import Switch
from hanoverd.triggers import Order, Ordered, Triggers
from hanoverd.version import Live, Versions

log = Logger()

#: How long the end of the daemon is held up by an engine that does not answer, in seconds.
PATIENCE_AT_THE_END = 10.0

#: How often the engine may be lost in the middle of one handover until that has failed.
MOST_LOSSES = 3


class Supervisor:
    """Runs one handover after another; a newer trigger cancels the one under way, up to its flip.

    A live version that exits is started again, as ``policy`` says.  With ``keep``, the live version outlives us.
    """

    def __init__(
        self,
        clock: IReactorTime,
        adoption: Adoption,
        versions: Versions,
        switch: Switch,
        handovers: Handovers,
        departures: Departures,
        keeper: Keeper,
        discards: Discards,
        conntrack: Conntrack,
        policy: RestartPolicy,
        hooks: Hooks,
        history: History,
        *,
        keep: bool,
        settle: float,
    ) -> None:
        self._adoption = adoption
        self._versions = versions
        self._switch = switch
        self._handovers = handovers
        self._departures = departures
        self._keeper = keeper
        self._discards = discards
        self._conntrack = conntrack
        self._hooks = hooks
        self._history = history
        self._keep = keep
        self._settle = settle
        self.triggers = Triggers(clock, self._hand_over)
        self.triggers.on_dropped = self._dropped
        # While no version is live, the one that was is back sooner than any other.
        self.triggers.is_urgent = lambda: self._switch.live is None
        self._revival = Revival(clock, policy, self._revive)
        self._tasks = Tasks()
        self._makeshift: Old | None = None
        self._has_looked = False
        self._minded: Live | None = None
        self._number = 0
        self._stopping = self._leaving = False

    async def stop(self) -> None:
        """Lead the ports nowhere and end all versions gracefully; fires when nothing is left; cannot be cancelled.

        With ``keep``, the live version and its rules stay, and so do old ones that have connections.
        """
        self._stopping = self._handovers.closing = True
        self._revival.stop()
        await self.triggers.stop()
        live = self._switch.live
        if live is not None and self._keep:
            await self._leave(live)
            return
        try:
            await self._switch.out()
        except HanoverdError as error:
            log.error("the rules could not be taken out: {error}", error=error)
        self._versions.give_up_after(PATIENCE_AT_THE_END)
        if live is not None:
            self._departures.end(live)
        if self._makeshift is not None:
            self._departures.depart(self._makeshift, drain=False)
        await self._departures.stop()
        await self._tasks.over()
        await self._forget_the_kept()
        await self._discards.close()
        await self._hooks.close()

    def hasten(self) -> None:
        """While stopping: kill what does not end by itself."""
        self._departures.hasten()
        self._tasks.cancel()

    async def _forget_the_kept(self) -> None:
        try:
            await self._keeper.clear()
        except HanoverdError as error:
            log.error("the versions that are kept to go back to could not be removed: {error}", error=error)

    async def _leave(self, live: Live) -> None:
        self._leaving = True
        self._versions.give_up_after(PATIENCE_AT_THE_END)
        leaving = Deferred.fromCoroutine(self._departures.leave())
        await self._versions.look_away_from_all()
        await leaving
        await self._tasks.over()
        await self._discards.close()
        await self._hooks.close()
        log.info("{name} goes on serving without hanoverd, as --on-exit keep says", name=live.name)

    async def _hand_over(self, order: Order) -> None:
        again = None
        if order.is_queued:
            again = self._revival.due()
            if again is None:
                return  # A newer version has come in its place meanwhile.
        log.info("handover: {reasons}", reasons=", ".join(order.reasons))
        number = None if order.ordered is None else order.ordered.number
        record = self._history.begin(order.reasons, number)
        wish = order.wish if again is None else Again(again)
        try:
            self._keeper.is_obtaining = True
            while not await self._is_over(wish, record):
                # What was triggered while it was away is not lost.
                await self._versions.wait_for_engine()
        except CancelledError:
            self._cancelled(order, record)
        except HanoverdError as error:
            self._failed(again, record, error)
        except Exception:  # noqa: BLE001  # a mistake of ours must not end the daemon, nor the version that serves
            log.failure("the handover failed by a mistake in hanoverd")
            self._failed(again, record, HanoverdError("it failed by a mistake in hanoverd, which its log tells"))
        # Whatever happened: the old version may have been started again.
        self._mind_live()
        self._keeper.is_obtaining = False
        if self._switch.live is not None and not self._stopping:
            self._tasks.go(self._keeper.tidy(self._switch.live))
        self.triggers.obtained = self._handovers.revision

    async def _is_over(self, wish: Wish, record: Record) -> bool:
        """One try at a handover; False where the engine was lost, and another one is worth it."""
        try:
            await self._look_for_what_is_left()
            old = self._switch.live
            live = await self._handovers.hand_over(self._number, wish, record)
        except EngineUnreachable as error:
            if self.triggers.why_cancelled:
                # While it was cleared away, which is deaf to that.
                raise CancelledError from None
            record.losses += 1
            if record.losses == MOST_LOSSES:
                # It may well be this very handover that ends it.
                raise
            self._number += 1
            self._mind_live()
            log.error("{error}: the handover begins again when it is back", error=error)
            return False
        self._number += 1
        self._revival.is_live()
        self._history.end(record, history.LIVE)
        self._retire_those_before(live, old)
        return True

    def _cancelled(self, order: Order, record: Record) -> None:
        why = self.triggers.why_cancelled
        log.info("handover cancelled: {why}", why=why)
        if self._discards.is_pending(self._versions.name(self._number)):
            self._number += 1
        if not (self.triggers.is_postponed and order.ordered):
            self._history.end(record, history.CANCELLED, why)

    def _failed(self, again: Recipe | None, record: Record, error: HanoverdError) -> None:
        self._number += 1
        self._history.end(record, history.FAILED, str(error))
        live = self._switch.live
        log.error("{error}", error=error)
        event = self._event(FAILED, Party(record.version), str(error))
        self._hooks.tell(replace(event, image=record.image, image_id=record.image_id))
        delay = None if again is None else self._revival.begin(again, None)
        log.info(
            "{serving}; {next}",
            serving=f"{live.name} goes on serving" if live is not None else "no version is live",
            next=_next(delay),
        )

    def _dropped(self, ordered: Ordered, why: str) -> None:
        self._history.end(self._history.begin([ordered.reason], ordered.number), history.CANCELLED, why)

    async def _look_for_what_is_left(self) -> None:
        """Once: take over what an earlier hanoverd of this app left, and count on from it."""
        if self._has_looked:
            return
        left = await self._adoption.adopt()
        self._has_looked = True
        self._number = left.next_number
        self._makeshift = left.makeshift
        for old in left.former:
            self._departures.depart(old, drain=True, keep=True)
        for old in left.others:
            self._departures.depart(old, drain=True)
        self._mind_live()

    def _retire_those_before(self, live: Live, old: Live | None) -> None:
        if old is not None:
            self._departures.give_way(old, live, drain=self._handovers.overlap)
        if self._makeshift is not None:
            self._departures.depart(self._makeshift, drain=True, keep=True)
            self._makeshift = None

    def _mind_live(self) -> None:
        live = self._switch.live
        if live is not None and live is not self._minded:
            self._minded = live
            self._tasks.go(self._mind(live))

    async def _mind(self, live: Live) -> None:
        """Should the live version end by itself, have another one serve, or none: its address may be given away."""
        watch = live.running.watch
        await watch.exit.wait()
        # Not so when it was retired, or left, by ourselves.
        if self._leaving or not await self._switch.out(of=live):
            return
        serving = await self._departures.call_back()
        self._mind_live()
        await self._conntrack.forget_unanswered((live.running.address,))
        settled = self._has_settled()
        reason, output = await self._versions.describe_exit(live.name, watch)
        # One that did not settle is not tried again and again: what it has replaced is better.
        gives_up = self._stopping or (serving is not None and not settled)
        delay = None if gives_up else self._revival.begin(live.running.created.recipe, watch.exit.get())
        log.error(
            "{name} was live and has {reason}: {serving}; {next}{output}",
            name=live.name,
            reason=reason,
            serving=f"{serving.name} is live again" if serving else "no version is live",
            next=_next(delay),
            output=output,
        )
        image = live.running.created.image
        died = self._event(DIED, live.party, f"{reason}{output}")
        self._hooks.tell(replace(died, image=image.name.reference, image_id=image.id))
        await uncancellable(self._discards.discard(live.name))

    def _revive(self) -> None:
        self.triggers.queue("the live version has exited")
        under_way = self._history.last
        if self._switch.live is None and under_way is not None and not under_way.is_over and not under_way.phases:
            # It still obtains its image, and nobody knows for how long.
            self.triggers.postpone("the version that was live is started again first")

    def replace(self, live: Live, complaint: str) -> None:
        """The live version is not well: bring up another of the same image in its place, or go back to the one before."""
        if self._stopping or live is not self._switch.live or self.triggers.is_busy:
            return
        self._tasks.go(self._replace(live, complaint))

    async def _replace(self, live: Live, complaint: str) -> None:
        serving = None if self._has_settled() else await self._departures.call_back()
        if serving is not None:
            self._mind_live()
            log.error(
                "{name} has not settled: {complaint}: {serving} is live again; waiting for the next trigger (SIGHUP)",
                name=live.name,
                complaint=complaint,
                serving=serving.name,
            )
            self._hooks.tell(self._event(FAILED, live.party, complaint))
            self._departures.end(live, drain=True, keep=True)
            return
        delay = self._revival.begin(live.running.created.recipe, None)
        log.error(
            "{name} is to be replaced: {complaint}; {next}", name=live.name, complaint=complaint, next=_next(delay)
        )

    def _has_settled(self) -> bool:
        return self._revival.live_for >= self._settle

    def _event(self, kind: str, new: Party, reason: str = "") -> Event:
        live = self._switch.live
        return Event(kind, self._versions.app, new=new, old=live.party if live else NOBODY, reason=reason)


def _next(delay: float | None) -> str:
    if delay is None:
        return "waiting for the next trigger (SIGHUP)"
    return f"the same image is started again in {format_duration(delay)}"
