"""The metrics of all apps: each daemon is asked for its own, when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from hanoverd.runtime.cancellation import Outcome
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.together import together
from hanoverd.web.daemons import DaemonClient
from hanoverd.web.metrics import MOST_CHARACTERS, joined
from hanoverd.web.watch import InThread

#: How long a daemon may take, in seconds: Prometheus waits for ten.
SCRAPE_TIMEOUT = 5.0

#: How many daemons are asked at once.
_MOST_AT_ONCE = 50

T = TypeVar("T")


class Scraping:
    """Asks all ``clients`` for their metrics; requests that come meanwhile get the same answer."""

    def __init__(
        self, clock: IReactorTime, clients: Callable[[], dict[str, DaemonClient]], in_thread: InThread
    ) -> None:
        self._clock = clock
        self._clients = clients
        self._in_thread = in_thread
        self._work: Deferred[str] | None = None
        self._outcome: Outcome[str] | None = None

    async def exposition(self) -> str:
        """Return the metrics of all apps.  A daemon that does not answer in time counts as down."""
        if self._outcome is None or self._outcome.is_settled:
            self._work = Deferred.fromCoroutine(self._scrape())
            self._outcome = Outcome(self._work)
        outcome = self._outcome
        await outcome.wait()
        return outcome.get()

    def stop(self) -> None:
        """Cancel what is asked."""
        if self._work is not None:
            self._work.cancel()

    async def _scrape(self) -> str:
        clients = self._clients()
        slots = DeferredSemaphore(_MOST_AT_ONCE)
        texts = await together([slots.run(self._text, one) for one in clients.values()])
        expositions = dict(zip(clients, texts, strict=True))
        return await self._in_thread(lambda: joined(expositions))

    async def _text(self, client: DaemonClient) -> str | None:
        try:
            asking = Deferred.fromCoroutine(client.get("/metrics", MOST_CHARACTERS))
            return (await within(self._clock, SCRAPE_TIMEOUT, asking)).decode()
        except CancelledError:
            raise
        except (ControlError, TimedOut, UnicodeDecodeError):
            return None
