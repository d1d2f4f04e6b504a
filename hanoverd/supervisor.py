"""The life of an app: which version is live, which comes next, which are on their way out."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hanoverd.concurrency.cancellation import Outcome, uncancellable
from hanoverd.discards import Discards
from hanoverd.edges.engine import Engine
from hanoverd.errors import HanoverdError
from hanoverd.handover import Handovers
from hanoverd.model.container import GENERATION, app_label
from hanoverd.retirement import Old, Retirement
from hanoverd.switch import Switch
from hanoverd.triggers import Triggers
from hanoverd.version import Live, Versions

log = Logger()

#: How long the end of the daemon is held up by an engine that does not answer, in seconds.
PATIENCE_AT_THE_END = 10.0


class Supervisor:
    """Runs one handover after another; a newer trigger cancels the one under way, up to its flip."""

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        app: str,
        versions: Versions,
        switch: Switch,
        handovers: Handovers,
        retirement: Retirement,
        discards: Discards,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._app = app
        self._versions = versions
        self._switch = switch
        self._handovers = handovers
        self._retirement = retirement
        self._discards = discards
        self.triggers = Triggers(self._hand_over)
        self._tasks: set[Deferred[None]] = set()
        self._strays: list[Old] | None = None
        self._minded: Live | None = None
        self._number = 0
        self._stopping = False

    def start(self) -> None:
        """Wait for triggers from now on."""
        self.triggers.start()

    async def stop(self) -> None:
        """Lead the ports nowhere and end all versions gracefully; fires when nothing is left; cannot be cancelled."""
        self._stopping = self._handovers.closing = True
        await self.triggers.stop()
        live = self._switch.live
        try:
            await self._switch.out()
        except HanoverdError as error:
            log.error("the rules could not be taken out: {error}", error=error)
        self._versions.patience = PATIENCE_AT_THE_END
        self._retirement.end_drains()
        if live is not None:
            self._retire(_old(live), drain=False)
        for stray in self._strays or []:
            self._retire(stray, drain=False)
        while self._tasks:
            await uncancellable(Outcome(next(iter(self._tasks))).wait())
        await self._discards.close()

    def hasten(self) -> None:
        """While stopping: kill what does not end by itself."""
        self._retirement.end_drains()
        for task in list(self._tasks):
            task.cancel()

    async def _hand_over(self, reasons: Sequence[str], revision: str | None) -> None:
        log.info("handover: {reasons}", reasons=", ".join(reasons))
        old = self._switch.live
        try:
            await self._find_strays()
            await self._handovers.hand_over(self._number, revision)
        except CancelledError:
            log.info("handover cancelled: {why}", why="stopping" if self._stopping else "a newer one begins")
            if self._discards.is_pending(self._versions.name(self._number)):
                self._number += 1
        except HanoverdError as error:
            log.error("{error}", error=error)
            self._failed()
        except Exception:  # noqa: BLE001  # a mistake of ours must not end the daemon, nor the version that serves
            log.failure("the handover failed by a mistake in hanoverd")
            self._failed()
        else:
            self._number += 1
            if old is not None:
                self._retire(_old(old), drain=self._handovers.overlap)
            strays, self._strays = self._strays, []
            for stray in strays or []:
                self._retire(stray, drain=True)
        # Whatever happened: the old version may have been started again.
        self._mind_live()
        self.triggers.obtained = self._handovers.revision

    def _failed(self) -> None:
        self._number += 1
        live = self._switch.live
        log.info(
            "{serving}; waiting for the next trigger (SIGHUP)",
            serving=f"{live.name} goes on serving" if live is not None else "no version is live",
        )

    async def _find_strays(self) -> None:
        """Once: count on from what an earlier hanoverd of this app left, which serves until the first flip."""
        if self._strays is not None:
            return
        found = await self._engine.containers_with(app_label(self._app))
        self._strays = [_stray(container) for container in found]
        for container, stray in zip(found, self._strays, strict=True):
            generation = container["Labels"].get(GENERATION, "")
            if generation.isdigit():
                self._number = max(self._number, int(generation) + 1)
            log.info("{name} was left by an earlier run: it is retired after the first flip", name=stray.name)

    def _retire(self, old: Old, *, drain: bool) -> None:
        self._go(self._retirement.retire(old, drain=drain))

    def _mind_live(self) -> None:
        live = self._switch.live
        if live is not None and live is not self._minded:
            self._minded = live
            self._go(self._mind(live))

    async def _mind(self, live: Live) -> None:
        """Should the live version end by itself, take its rules out: its address may be given to another."""
        watch = live.running.watch
        await watch.exit.wait()
        if not await self._switch.out(of=live):
            return
        await watch.all_output()
        log.error(
            "{name} was live and has exited with code {code}: no version is live; waiting for the next trigger (SIGHUP)",
            name=live.name,
            code=watch.exit.get(),
        )
        await uncancellable(self._discards.discard(live.name))

    def _go(self, task: Coroutine[Deferred[Any], Any, None]) -> None:
        """Let ``task`` go on beside the handovers; ``stop`` waits for it."""
        running = Deferred.fromCoroutine(task)
        if not running.called:
            self._tasks.add(running)

        def end(result: object) -> None:
            self._tasks.discard(running)
            if isinstance(result, Failure) and result.check(CancelledError) is None:
                log.failure("a mistake in hanoverd", result)

        running.addBoth(end)


def _old(live: Live) -> Old:
    exit_ = live.running.watch.exit
    return Old(live.name, live.running.address, has_ended=lambda: exit_.is_over)


def _stray(container: Mapping[str, Any]) -> Old:
    """A container as the engine lists it."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    return Old(container["Names"][0].lstrip("/"), addresses[0] if addresses else None)
