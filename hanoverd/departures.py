"""Those that were live before: each finishes what it has, and can be called back until it has."""

from __future__ import annotations

from twisted.logger import Logger

from hanoverd.concurrency.tasks import Tasks
from hanoverd.errors import HanoverdError
from hanoverd.hooks import Hooks
from hanoverd.kept import Keeper
from hanoverd.model.events import DRAINED, NOBODY, Event, Party
from hanoverd.retirement import Old, Retirement
from hanoverd.switch import Switch
from hanoverd.version import Live

log = Logger()


class Departures:
    """Retires any number of versions of ``app`` at a time, tells of each that is gone, and keeps what is to be kept."""

    def __init__(self, app: str, switch: Switch, retirement: Retirement, keeper: Keeper, hooks: Hooks) -> None:
        self._app = app
        self._switch = switch
        self._retirement = retirement
        self._keeper = keeper
        self._hooks = hooks
        self._departing = Tasks()
        #: The newest last.
        self._former: list[Live] = []
        self._stopping = False

    def give_way(self, old: Live, live: Live, *, drain: bool) -> None:
        """``live`` has replaced ``old``, which can be called back while it drains, and then gone back to."""
        self._former = [*(one for one in self._former if not one.running.watch.exit.is_over), old]
        self._keeper.leaves(old, live)
        self.depart(_old(old), drain=drain, keep=True)

    def end(self, live: Live, *, drain: bool = False, keep: bool = False) -> None:
        """Retire a version that no rule leads to any more."""
        self.depart(_old(live), drain=drain, keep=keep)

    def depart(self, old: Old, *, drain: bool, keep: bool = False) -> None:
        """As ``end``, for one that need not have been ours."""
        self._departing.go(self._depart(old, drain=drain, keep=keep))

    async def call_back(self) -> Live | None:
        """Lead the ports back to the newest version that has not ended yet; gives it, if there is one."""
        former, self._former = self._former, []
        for live in reversed(former):
            if not live.running.watch.exit.is_over and self._retirement.recall(live.name):
                try:
                    return await self._switch.flip(live.ready)
                except HanoverdError as error:
                    log.error("{name} cannot be live again: {error}", name=live.name, error=error)
                    self.end(live)
        return None

    async def leave(self) -> None:
        """Leave all that drain to those who come after us; fires when none is at work any more."""
        self._retirement.leave()
        await self._departing.over()

    async def stop(self) -> None:
        """Wait for no connection any more; fires when all are gone.  Deaf to every cancel."""
        self._stopping = True
        self._retirement.end_drains()
        await self._departing.over()

    def hasten(self) -> None:
        """Kill what does not end by itself."""
        self._retirement.end_drains()
        self._departing.cancel()

    async def _depart(self, old: Old, *, drain: bool, keep: bool) -> None:
        is_gone = await self._retirement.retire(old, drain=drain, keep=keep)
        self._keeper.gone(old.name)
        if not is_gone:
            return
        live = self._switch.live
        self._hooks.tell(
            Event(DRAINED, self._app, new=Party(old.name, old.id), old=NOBODY if live is None else live.party)
        )
        if keep and live is not None and not self._stopping:
            await self._keeper.tidy(live)


def _old(live: Live) -> Old:
    exit_ = live.running.watch.exit
    return Old(live.name, live.running.created.id, live.running.address, has_ended=lambda: exit_.is_over)
