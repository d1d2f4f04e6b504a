"""Follows one daemon: its events say when its status changes, and then it is asked for its status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hanoverd.daemons.answers import handovers_of, status_of
from hanoverd.logs.events import ENDED, MISSED
from hanoverd.runtime.backoff import Backoff, Delays
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.tasks import Tasks
from hanoverd.web.checked_connection import AdoptingReactor
from hanoverd.web.daemons import DaemonClient, DaemonRefused, StreamReader, not_running
from hanoverd.web.event_lines import EventLines
from hanoverd.web.state import AppState

log = Logger()

#: How many handovers are kept of each app, and the largest answers, in bytes.
HANDOVERS, MOST_STATUS, MOST_HISTORY = 50, 1024 * 1024, 4 * 1024 * 1024

#: The time from an event to the question for the status, and the shortest time between two, in seconds.
FIRST_DELAY, SHORTEST_INTERVAL = 0.03, 0.4

#: An event is sent when something happens, and the status may change a moment later: after so many seconds it is asked for again.
SECOND_LOOK = 0.6

#: How often the status is asked for without an event, and where the last answer failed or there are no events, in seconds.
IDLE_INTERVAL, RETRY_INTERVAL = 30.0, 5.0

_BACKOFF = Backoff(0.2, 5.0)

#: The events after which the history is asked for: those that end a handover, or the life of a version.
_IN_HISTORY = frozenset({ENDED, MISSED.id, "trigger", "removed", "kept", "drained", ""})


class Follower(StreamReader):
    """Keeps the ``state`` of the app of ``client`` up to date, and calls ``on_change`` when it has changed.

    ``on_end`` is called when the daemon has stopped its app, and the app is gone with it.
    """

    def __init__(
        self,
        reactor: AdoptingReactor,
        client: DaemonClient,
        on_change: Callable[[str], object],
        on_end: Callable[[str], object],
    ) -> None:
        self.client = client
        self.state = AppState(client.app, None)
        #: Whether the stream of events is open.
        self.is_connected = False
        self._reactor = reactor
        self._on_change = on_change
        self._on_end = on_end
        self._tasks = Tasks()
        self._events = EventLines()
        self._delays = Delays(_BACKOFF)
        self._is_stopping = self._leaves_app = False
        self._wants_history = True
        self._is_asking = self._asks_again = self._looks_twice = False
        self._earliest = 0.0
        self._timer: IDelayedCall | None = None
        # Who waits for the next answer.
        self._waiting: set[Deferred[None]] = set()

    def start(self) -> None:
        """Follow the daemon until ``stop``."""
        self._ask_in(0)
        self._tasks.start(self._follow())

    async def stop(self) -> None:
        """Stop; fires when all requests have ended."""
        self._cancel_timer()
        await self._tasks.stop()
        self._cancel_timer()

    def fresh(self) -> Deferred[None]:
        """Ask for the status at once; fires when there is an answer, or none could be had.  Cancel ends the wait only."""
        waiting: Deferred[None] = Deferred(self._waiting.discard)
        self._waiting.add(waiting)
        self._earliest = 0.0
        self._ask_in(0)
        return waiting

    def receive(self, data: bytes) -> None:
        """Take a part of the stream of events."""
        for kind in self._events.take(data):
            if not self.is_connected:
                self.is_connected = True
                self._delays.reset()
            self._is_stopping = self._is_stopping or kind == "stopping"
            self._leaves_app = self._leaves_app or kind == "left_running"
            self._wants_history = self._wants_history or kind in _IN_HISTORY
            self._looks_twice = True
            self._ask_in(FIRST_DELAY)

    # -- the stream

    async def _follow(self) -> None:
        while True:
            last = self._events.last_id
            headers: Mapping[str, str] = {"Last-Event-ID": last} if last else {}
            self._events = EventLines()
            try:
                await self.client.follow("/events", self, headers)
                problem = not_running(self.client.app)
            except DaemonRefused:
                # It is an older one, or too many clients follow it: the status is asked for all the same.
                self._ask_in(RETRY_INTERVAL)
                problem = ""
            except ControlError as error:
                problem = str(error)
            self._events.last_id = self._events.last_id or last
            was_connected, self.is_connected = self.is_connected, False
            if was_connected and self._is_stopping and not self._leaves_app:
                # Not from here: it stops this task.
                self._reactor.callLater(0, self._on_end, self.client.app)
                return
            self._is_stopping = self._leaves_app = False
            if problem:
                self._change(problem=problem)
            await sleep(self._reactor, self._delays.next())

    # -- the status

    def _ask_in(self, seconds: float) -> None:
        if self._is_asking:
            self._asks_again = True
            return
        seconds = max(seconds, self._earliest - self._reactor.seconds())
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() - self._reactor.seconds() <= seconds:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(seconds, self._ask)

    def _ask(self) -> None:
        self._is_asking, self._asks_again = True, False
        waiting, self._waiting = self._waiting, set()
        self._tasks.start(self._refresh(waiting))

    async def _refresh(self, waiting: set[Deferred[None]]) -> None:
        try:
            await self._ask_daemon()
        except CancelledError:
            raise
        except Exception:
            # A mistake of ours, which is logged, must not be the end of this app on the page.
            self._is_asking = False
            self._change(
                problem="its status cannot be shown, because of an error in hanoverd: the page's log has the details"
            )
            self._ask_in(IDLE_INTERVAL)
            raise
        finally:
            for one in waiting:
                if not one.called:
                    one.callback(None)

    async def _ask_daemon(self) -> None:
        wants_history, self._wants_history = self._wants_history, False
        is_done = False
        try:
            changes: dict[str, Any] = {
                "status": status_of(await self.client.get_json("/status", MOST_STATUS), self.client.app)
            }
            if wants_history:
                answer = await self.client.get_json(f"/history?limit={HANDOVERS}", MOST_HISTORY)
                changes["handovers"] = handovers_of(answer)[-HANDOVERS:]
            is_done = True
        except CancelledError:
            raise
        except ControlError as error:
            changes = {"problem": str(error)}
        except ValueError as error:
            changes = {"problem": f"the answer of the hanoverd that serves {self.client.app} is not valid: {error}"}
        self._is_asking = False
        self._earliest = self._reactor.seconds() + SHORTEST_INTERVAL
        if is_done:
            changes["problem"] = ""
        self._wants_history = self._wants_history or (wants_history and not is_done)
        self._change(**changes)
        self._ask_in(self._next_delay(is_done=is_done))

    def _next_delay(self, *, is_done: bool) -> float:
        if self._asks_again:
            return FIRST_DELAY
        if self._looks_twice:
            self._looks_twice = False
            return SECOND_LOOK
        return IDLE_INTERVAL if is_done and self.is_connected else RETRY_INTERVAL

    def _change(self, **changes: Any) -> None:
        changed = replace(self.state, **changes)
        if changed != self.state:
            self.state = changed
            self._on_change(self.client.app)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
