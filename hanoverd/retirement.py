"""The end of a version: it serves what it has, is stopped, and is removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.cancellation import over
from hanoverd.concurrency.polling import growing, pause
from hanoverd.edges.conntrack import Conntrack
from hanoverd.edges.engine import Engine
from hanoverd.errors import EngineError
from hanoverd.kept import Keeper
from hanoverd.model.durations import format_duration
from hanoverd.version import Versions

log = Logger()

#: The wait between two counts of connections grows between these two, in seconds.
FIRST_COUNT, LAST_COUNT = 0.1, 1.0


@dataclass(frozen=True)
class Old:
    """A version that no new connection is led to.

    ``address`` None means that it does not run; ``has_ended`` tells whether it has stopped by itself since.
    """

    name: str
    id: str
    address: str | None
    has_ended: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class DrainOptions:
    """How an old version ends: times in seconds, counted from the flip."""

    grace: float
    timeout: float
    signal: str | None


class Retirement:
    """Retires old versions, any number at a time."""

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        conntrack: Conntrack,
        versions: Versions,
        keeper: Keeper,
        options: DrainOptions,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._conntrack = conntrack
        self._versions = versions
        self._keeper = keeper
        self._options = options
        self._drains: dict[str, Deferred[int | None]] = {}
        self._recalled: set[str] = set()
        self._draining = True

    def end_drains(self) -> None:
        """Wait for no connection any more: stop at once what drains now, and what comes later."""
        self._draining = False
        for drain in list(self._drains.values()):
            drain.cancel()

    def recall(self, name: str) -> bool:
        """Have the version ``name``, which is being drained, go on: ``retire`` then leaves it alone.  Whether it could
        be done: one that is already being stopped ends.
        """
        drain = self._drains.get(name)
        if drain is None:
            return False
        self._recalled.add(name)
        drain.cancel()
        return True

    def leave(self) -> None:
        """Leave all that drain now to those who come after us."""
        for name in list(self._drains):
            self.recall(name)

    @property
    def draining(self) -> list[str]:
        """The names of the versions that are drained now."""
        return list(self._drains)

    async def retire(self, old: Old, *, drain: bool = True, keep: bool = False) -> bool:
        """Drain, stop and remove ``old``, or keep it, to be gone back to; fires when it is gone, and never fails: what it
        cannot do, it logs.

        Gives whether it is gone; not so, too, where it was recalled.

        Cancel hastens: it ends the drain; while the container is stopped, it kills it; while it is removed, it gives
        up on an engine that does not answer.
        """
        begun = self._clock.seconds()
        left = await self._drain_if_told(old) if drain and self._draining else None
        if old.name in self._recalled:
            self._recalled.remove(old.name)
            return False
        drained = self._clock.seconds()
        try:
            keep = await over(Deferred.fromCoroutine(self._stop(old))) and keep
        except CancelledError:
            log.info("{name} was killed, as told", name=old.name)
        stopped = self._clock.seconds()
        if not (keep and await self._is_kept(old)) and not await self._versions.remove_or_tell(old.name):
            return False
        log.info(
            "{name} is gone: drained for {drained}{cut}, stopped in {stopped}",
            name=old.name,
            drained=format_duration(drained - begun),
            cut=_cut(left),
            stopped=format_duration(stopped - drained),
        )
        return True

    async def _is_kept(self, old: Old) -> bool:
        try:
            return await self._keeper.keep(old.name)
        except (CancelledError, EngineError) as error:
            log.warn("{name} cannot be kept to go back to: {error}", name=old.name, error=error or "stopping")
            return False

    async def _drain_if_told(self, old: Old) -> int | None:
        if old.address is None or old.has_ended():
            return None
        drain = Deferred.fromCoroutine(self._drain(old, old.address))
        self._drains[old.name] = drain
        try:
            return await drain
        except CancelledError:
            log.info("{name} is not drained any further", name=old.name)
            return None
        finally:
            del self._drains[old.name]

    async def _drain(self, old: Old, address: str) -> int | None:
        """Wait until no connection to ``old`` is under way; gives how many were left when the time was up."""
        begun = self._clock.seconds()
        await self._notify(old)
        await pause(self._clock, self._options.grace)
        for wait in growing(FIRST_COUNT, LAST_COUNT, 1.25):
            # Once it has ended, its address may be another's, and so would be the connections.
            left = 0 if old.has_ended() else await self._conntrack.count((address,))
            remaining = begun + self._options.timeout - self._clock.seconds()
            if left == 0 or remaining <= 0:
                return left
            await pause(self._clock, min(wait, remaining))
        raise AssertionError("growing() has no end")

    async def _notify(self, old: Old) -> None:
        if self._options.signal is None:
            return
        try:
            await self._engine.kill(old.name, self._options.signal)
        except EngineError as error:
            log.warn("{name} could not be told of the drain: {error}", name=old.name, error=error)

    async def _stop(self, old: Old) -> bool:
        try:
            await self._versions.stop(old.name)
        except EngineError as error:
            # Removing it will end it too, if less gently.
            log.error("{name} could not be stopped: {error}", name=old.name, error=error)
            return False
        return True


def _cut(left: int | None) -> str:
    if left is None:
        return ""
    return f" ({left} connections cut)" if left else " (no connection cut)"
