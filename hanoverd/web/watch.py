"""All apps of this host: finds their daemons as ``hanoverd list`` does, follows each, and tells the pages what has changed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from hanoverd.daemons.connection import Daemon, running_daemons
from hanoverd.daemons.unix_connection import Untrusted, open_connection
from hanoverd.docker.access import TrustedUsers
from hanoverd.runtime.cancellation import Outcome
from hanoverd.runtime.clock import settles_within, sleep
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.runtime.tasks import Tasks
from hanoverd.runtime.together import together
from hanoverd.web.checked_connection import AdoptingReactor
from hanoverd.web.daemons import DaemonClient
from hanoverd.web.following import Follower
from hanoverd.web.state import AppState, HostState

log = Logger()

#: The time between two searches for sockets, in seconds.
SEARCH_INTERVAL = 2.0

#: How many apps are followed.  Each takes a connection, and some memory.
MOST_APPS = 500

#: How long an app is shown whose daemon is gone, in seconds.
GONE_TIMEOUT = 24 * 3600.0

#: How long a page waits for answers of daemons before it is shown, in seconds.
READY_TIMEOUT = 2.0

#: How many problems are shown.
_MOST_PROBLEMS = 50

T = TypeVar("T")


class InThread(Protocol):
    """Calls a function in a thread."""

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        """Fire with the result of ``work``.  Cancel does not stop it."""


@dataclass(frozen=True)
class Sockets:
    """The control sockets that a user with an environment looks at.  All methods block."""

    environ: Mapping[str, str]
    uid: int

    def search(self, known: frozenset[Path]) -> tuple[list[Daemon], list[str]]:
        """Return the running daemons, and what was refused."""
        return running_daemons(self.environ, self.uid, known)

    def open(self, app: str, path: Path) -> socket.socket:
        """Return a socket that is connected; fails with ``ControlError``, and with ``OSError``."""
        try:
            return open_connection(path, TrustedUsers(self.environ))
        except Untrusted as error:
            raise ControlError(f"the control socket of {app} is not used: {error}") from None


class Watcher:
    """Keeps the state of all apps.  ``subscribers`` are called with the name of an app when something about it has changed."""

    def __init__(self, reactor: AdoptingReactor, sockets: Sockets, in_thread: InThread) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._in_thread = in_thread
        self._followers: dict[str, Follower] = {}
        self._paths: dict[str, Path] = {}
        #: Since when there is no connection to the daemon of an app, in seconds.
        self._gone: dict[str, float] = {}
        self._problems: tuple[str, ...] = ()
        self._tasks = Tasks()
        self._report = ReportOnce(
            lambda error: log.warn("page: cannot search for apps: {error}", event="page_search_failed", error=error)
        )
        self._first: Deferred[None] = Deferred()
        self._ready = Outcome(self._first)
        self.subscribers: set[Callable[[str], object]] = set()

    @property
    def host(self) -> HostState:
        """All apps, and what else is to say."""
        return HostState(tuple(self._followers[app].state for app in sorted(self._followers)), self._problems)

    def app(self, name: str) -> AppState | None:
        """Return the state of an app; None if there is no such app."""
        follower = self._followers.get(name)
        return None if follower is None else follower.state

    def client(self, name: str) -> DaemonClient | None:
        """Return what asks the daemon of an app; None if there is no such app."""
        follower = self._followers.get(name)
        return None if follower is None else follower.client

    async def ready(self) -> None:
        """Wait until the first search is over, and the daemons that it found have answered; at most ``READY_TIMEOUT`` seconds."""
        if not self._ready.is_settled:
            await settles_within(self._reactor, READY_TIMEOUT, self._ready)

    async def fresh(self, name: str) -> None:
        """Wait until the daemon of an app was asked for its status once more; at most ``READY_TIMEOUT`` seconds."""
        follower = self._followers.get(name)
        if follower is not None:
            await settles_within(self._reactor, READY_TIMEOUT, Outcome(follower.fresh()))

    def start(self) -> None:
        """Search, and follow what is found, until ``stop``."""
        self._tasks.start(self._watch())

    async def stop(self) -> None:
        """Stop; fires when all requests have ended."""
        self.subscribers.clear()
        await self._tasks.stop()
        for app in list(self._followers):
            await self._followers.pop(app).stop()

    async def _watch(self) -> None:
        while True:
            await self._search()
            if not self._ready.is_settled:
                self._tasks.start(self._end_start())
            for follower in list(self._followers.values()):
                # Connections end without an event.
                if self.subscribers and (follower.state.status or {}).get("draining"):
                    self._notify(follower.client.app)
            await sleep(self._reactor, SEARCH_INTERVAL)

    async def _end_start(self) -> None:
        asked = [one for one in self._followers.values() if one.state.status is None and not one.state.problem]
        await together(
            [
                Deferred.fromCoroutine(settles_within(self._reactor, READY_TIMEOUT, Outcome(one.fresh())))
                for one in asked
            ]
        )
        if not self._first.called:
            self._first.callback(None)

    async def _search(self) -> None:
        known = frozenset(self._paths[app] for app, one in self._followers.items() if one.is_connected)
        try:
            found, problems = await self._in_thread(lambda: self._sockets.search(known))
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # without free file descriptors, for example: the next search may work
            self._report(str(error))
            return
        self._report.reset()
        self._forget_gone({one.app for one in found})
        for one in found:
            self._meet(one)
        shown = tuple(problems[:_MOST_PROBLEMS])
        if shown != self._problems:
            self._problems = shown
            self._notify("")

    def _meet(self, daemon: Daemon) -> None:
        """Follow a daemon, unless that is so already."""
        follower = self._followers.get(daemon.app)
        if follower is not None:
            if follower.is_connected or self._paths[daemon.app] == daemon.path:
                return
            self._drop(daemon.app)
        elif len(self._followers) >= MOST_APPS:
            return
        connect = self._connector(daemon.app, daemon.path)
        client = DaemonClient(self._reactor, daemon.app, connect)
        self._followers[daemon.app] = made = Follower(self._reactor, client, self._notify, self._drop)
        self._paths[daemon.app] = daemon.path
        made.start()
        self._notify(daemon.app)

    def _connector(self, app: str, path: Path) -> Callable[[], Deferred[socket.socket]]:
        return lambda: self._in_thread(lambda: self._sockets.open(app, path))

    def _forget_gone(self, found: set[str]) -> None:
        now = self._reactor.seconds()
        for app, follower in list(self._followers.items()):
            if follower.is_connected or app in found:
                self._gone.pop(app, None)
            elif follower.state.status is None:
                # It stopped when it was found.
                self._drop(app)
            elif now - self._gone.setdefault(app, now) > GONE_TIMEOUT:
                self._drop(app)

    def _drop(self, app: str) -> None:
        """Show an app no longer."""
        follower = self._followers.pop(app, None)
        self._gone.pop(app, None)
        if follower is not None:
            self._tasks.start(follower.stop())
            self._notify(app)

    def _notify(self, app: str) -> None:
        for subscriber in list(self.subscribers):
            subscriber(app)


def threads(reactor: Any, pool: Any) -> InThread:
    """Return what calls a function in a thread of ``pool``."""
    # Late: the module imports the global reactor's threads only where they are used.
    from twisted.internet.threads import deferToThreadPool  # noqa: PLC0415

    def in_thread(work: Callable[[], T]) -> Deferred[T]:
        found: Deferred[T] = deferToThreadPool(reactor, pool, work)
        return found

    return in_thread
