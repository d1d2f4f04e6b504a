"""Daemons for the tests of the page: the real control server, and sockets on which something else answers."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.server import ControlServer
from hanoverd.api.status import AppStatus, VersionStatus
from hanoverd.history.record import HistoryQuery, Origin, Record
from hanoverd.logs.recent import RecentLog
from hanoverd.runtime.clock import sleep
from hanoverd.web.watch import Sockets, Watcher, threads

REACTOR: Any = reactor

STATUS = AppStatus("web", "live", None, (), (), None, False, (), 0, (), 0, 77, "1.0")


class Far:
    """An app, in so far as the control server needs it."""

    is_stopping = False

    def __init__(self, app: str) -> None:
        self.current = replace(STATUS, app=app)
        self.asked: list[str] = []
        self.origins: list[Origin | None] = []
        self.records = [Record(1, "start", 5.0, app)]

    def status(self) -> AppStatus:
        self.asked.append("status")
        return self.current

    async def history(self, query: HistoryQuery) -> list[dict[str, Any]]:
        self.asked.append(f"history {query.limit}")
        return query.select(record.json() for record in self.records)

    async def connections(self) -> dict[str, int | None]:
        return {"live": 7, "draining": None}

    async def versions(self) -> list[VersionStatus]:
        return []

    def deploy(self, image: str | None, reason: str, *_: object, origin: Origin | None = None, **__: object) -> int:
        self.asked.append(f"deploy: {reason}")
        self.origins.append(origin)
        return 2

    def rollback(self, number: int | None, reason: str, origin: Origin) -> int:
        self.asked.append(f"rollback {number}: {reason}")
        return 3

    async def cancel(self, _reason: str) -> None:
        self.asked.append("cancel")

    def pause(self) -> None:
        self.asked.append("pause")

    def resume(self) -> list[str]:
        self.asked.append("resume")
        return ["SIGHUP"]


class DaemonsCase(TestCase):
    """A folder of sockets, and a watcher of it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.environ = {"HANOVERD_RUNTIME_DIR": folder.name, "HANOVERD_STATE_DIR": folder.name}
        self.in_thread = threads(REACTOR, REACTOR.getThreadPool())
        self.watcher = Watcher(REACTOR, Sockets(self.environ, os.geteuid()), self.in_thread)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.watcher.stop()))

    def serve(self, app: str) -> tuple[Far, Callable[[], Deferred[None]]]:
        """Start a daemon of an app; return the app, and what stops the daemon as a kill does."""
        far, recent = Far(app), RecentLog()
        server = ControlServer(
            REACTOR, cast("Control", far), recent, lambda site: listen(REACTOR, self.environ, app, site)
        )
        server.start()
        is_closed: list[bool] = []

        def close() -> Deferred[None]:
            if is_closed:
                return Deferred.fromCoroutine(_nothing())
            is_closed.append(True)
            return Deferred.fromCoroutine(server.close())

        self.addCleanup(close)
        return far, close

    def answer(self, app: str, serve: Callable[[socket.socket], object]) -> None:
        """Let ``serve`` answer each connection to the socket of an app, in a thread of its own, when a request has come."""
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(self.folder / f"{app}.sock"))
        server.listen(50)

        def serve_one(peer: socket.socket) -> None:
            with peer:
                try:
                    # It is empty if the client only checks whether a process listens.
                    if peer.recv(65536):
                        serve(peer)
                except OSError:
                    pass  # The client has had enough.

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve_one, args=(peer,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()

        self.addCleanup(stop)

    async def until(self, holds: Callable[[], object]) -> None:
        for _ in range(3000):
            if holds():
                return
            await sleep(REACTOR, 0.01)
        raise AssertionError("not within half a minute")

    def state(self, app: str) -> str | None:
        """The state that the watcher knows."""
        found = self.watcher.app(app)
        return None if found is None or found.status is None else str(found.status["state"])

    def is_followed(self, app: str) -> bool:
        """Whether there is a stream of its events, and an answer."""
        follower = self.watcher._followers.get(app)
        return follower is not None and follower.is_connected and follower.state.status is not None

    def problem(self, app: str) -> str:
        found = self.watcher.app(app)
        return "" if found is None else found.problem

    def has_problem(self, app: str, problem: str) -> bool:
        return problem in self.problem(app)


async def _nothing() -> None:
    """Do nothing."""
