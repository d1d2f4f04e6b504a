"""The daemon as a Twisted service: signals, the terminal, start and stop."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.logger import Logger

from hanoverd.control.server import ControlServer
from hanoverd.deploy.app import App
from hanoverd.edges.pools import Pools
from hanoverd.edges.running import RunningService
from hanoverd.edges.signals import take_signals
from hanoverd.edges.systemd import Systemd
from hanoverd.edges.terminal import Terminal, TerminalReactor

if TYPE_CHECKING:
    from hanoverd.hookbot.follower import Follower

log = Logger()


class DaemonReactor(IReactorCore, TerminalReactor, IReactorFromThreads):
    """What a reactor must be able to do to run the daemon."""


class HanoverdService(RunningService):
    """Runs an app while the reactor runs: one handover at the start, one for each SIGHUP.

    SIGTERM, SIGINT and the end of an interactive terminal stop the reactor, and so, gracefully, this; a second
    signal kills what takes its time.
    """

    def __init__(
        self,
        reactor: DaemonReactor,
        pool: Pools,
        app: App,
        systemd: Systemd,
        control: ControlServer,
        follower: Follower | None,
        release: Callable[[], object],
        stdin: int,
    ) -> None:
        super().__init__(reactor)
        self._pool = pool
        self._app = app
        self._systemd = systemd
        self._control = control
        self._follower = follower
        self._release = release
        self._terminal = Terminal(reactor, stdin, self._end_of_input)
        self._stopping = False

    def begin(self) -> None:
        """Take the signals, and the first trigger."""
        take_signals(self._reactor, lambda: self._app.orchestrator.trigger("SIGHUP"), self._stop)
        self._pool.start()
        self._control.start()
        self._terminal.watch()
        log.info(
            "hanoverd is running: process {pid}; `kill -HUP {pid}` begins a handover, `kill {pid}` or Ctrl-C stops it",
            pid=os.getpid(),
        )
        if self._app.orchestrator.state.requests.is_paused:
            log.info("hanoverd is paused, as before: `hanoverd resume {app}` ends that", app=self._app.versions.app)
        self._app.start()
        self._app.orchestrator.trigger("start")
        self._systemd.ready()
        if self._follower is not None:
            self._follower.start()
        # What is loaded by now stays: the garbage collector need not look at it again in the middle of a handover.
        gc.freeze()
        Deferred.fromCoroutine(self._app.conntrack.probe()).addErrback(
            lambda failure: log.failure("conntrack", failure)
        )

    async def end(self) -> None:
        """Fires when nothing is under way any more, and the threads have ended."""
        self._systemd.stopping()
        self._terminal.unwatch()
        if self._follower is not None:
            await self._follower.stop()
        await self._app.stop()
        await self._control.close()
        self._pool.stop()
        self._release()
        self._systemd.ended()
        log.info("hanoverd has stopped")

    def _end_of_input(self) -> None:
        self._stop("end of input (Ctrl-D)")

    def _stop(self, reason: str) -> None:
        if self._stopping:
            log.info("{reason} again: killing what has not ended", reason=reason)
            self._app.orchestrator.kill()
            return
        self._stopping = True
        log.info("{reason}: stopping; once more to stop at once", reason=reason)
        self._reactor.stop()
