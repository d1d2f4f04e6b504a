"""The page as a Twisted service."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from hanoverd.runtime.reactors import ServerReactor
from hanoverd.runtime.running import RunningService
from hanoverd.runtime.signals import handle_signals
from hanoverd.web.server import PageServer
from hanoverd.web.site import PageSite
from hanoverd.web.watch import Watcher

log = Logger()


class WebService(RunningService):
    """Follows the daemons and answers browsers while the reactor runs; it listens already."""

    def __init__(
        self,
        reactor: ServerReactor,
        pool: ThreadPool,
        watcher: Watcher,
        server: PageServer,
        site: PageSite,
        listening: IListeningPort,
        url: str,
        *,
        is_open: bool,
    ) -> None:
        super().__init__(reactor)
        self._pool = pool
        self._watcher = watcher
        self._server = server
        self._site = site
        self._listening = listening
        self._url = url
        self._is_open = is_open
        self._is_stopping = False

    def begin(self) -> None:
        """Handle the signals, and search for apps."""
        handle_signals(self._reactor, lambda: None, self._stop)
        self._pool.start()
        self._watcher.start()
        log.info("page: listening at {url}", event="page_serving", url=self._url)
        if self._is_open:
            log.warn(
                "page: every user of this host can deploy and roll back at {url}: use --login unless all of them may",
                event="page_open",
                url=self._url,
            )

    async def end(self) -> None:
        """Close all connections; fires when all requests and threads have ended."""
        stopping: Any = maybeDeferred(self._listening.stopListening)
        self._site.drop_all()
        self._server.stop()
        await stopping
        await self._watcher.stop()
        self._pool.stop()
        log.info("page: stopped", event="page_ended")

    def _stop(self, reason: str) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            log.info("page: stopping: {reason}", event="page_stopping", reason=reason)
            self._reactor.stop()
