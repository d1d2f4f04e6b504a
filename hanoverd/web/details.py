"""What the page of one app shows beside the state that is followed: it is asked for when the page is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from hanoverd.daemons.answers import connections_of, handovers_of
from hanoverd.runtime.cancellation import Outcome
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.together import together
from hanoverd.web.daemons import MOST_BYTES, DaemonClient
from hanoverd.web.metrics import MOST_CHARACTERS
from hanoverd.web.state import AppState

#: How long a page waits for them, and how long an answer is used for other pages, in seconds.
DETAILS_TIMEOUT, FRESH = 2.0, 1.0

#: How many lines of the log there are, and their size in bytes.
LOG_LINES, MOST_LOG = 100, 2 * 1024 * 1024

#: How many handovers a page can choose from that shows other ones than the last.
ALL_HANDOVERS = 1000

T = TypeVar("T")

_Question = tuple[str, str]


class Details:
    """Asks daemons for details, each at most once a second, however many pages there are."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._asked: dict[_Question, tuple[float, Deferred[Any], Outcome[Any]]] = {}

    async def of(self, state: AppState, client: DaemonClient, *, all_handovers: bool = False) -> AppState:
        """Return ``state`` with the last lines of the log and the open connections, and ``all_handovers`` if wanted.

        What cannot be had in time is left as it is.
        """
        if state.problem:
            return state
        questions: dict[str, Callable[[], Coroutine[Deferred[Any], Any, Any]]] = {
            "log": lambda: _log(client),
            "connections": lambda: _connections(client),
        }
        if all_handovers:
            questions["handovers"] = lambda: _handovers(client)
        answers = await together(
            [Deferred.fromCoroutine(self._once((state.app, name), ask)) for name, ask in questions.items()]
        )
        found = {name: answer for name, answer in zip(questions, answers, strict=True) if answer is not None}
        return replace(state, **found)

    def stop(self) -> None:
        """Cancel all questions."""
        for _, work, _ in self._asked.values():
            work.cancel()

    async def _once(self, question: _Question, ask: Callable[[], Coroutine[Deferred[Any], Any, Any]]) -> Any:
        now = self._clock.seconds()
        self._asked = {key: one for key, one in self._asked.items() if now - one[0] < FRESH or not one[2].is_settled}
        if question not in self._asked:
            work = Deferred.fromCoroutine(self._in_time(ask))
            self._asked[question] = (now, work, Outcome(work))
        outcome = self._asked[question][2]
        await outcome.wait()
        return outcome.get()

    async def _in_time(self, ask: Callable[[], Coroutine[Deferred[Any], Any, Any]]) -> Any:
        try:
            return await within(self._clock, DETAILS_TIMEOUT, Deferred.fromCoroutine(ask()))
        except CancelledError:
            raise
        except (ControlError, TimedOut, ValueError):
            return None


async def _log(client: DaemonClient) -> tuple[str, ...]:
    text = await client.get(f"/logs?tail={LOG_LINES}", MOST_LOG)
    return tuple(text.decode("utf-8", "replace").rstrip("\n").split("\n")[-LOG_LINES:])


async def _connections(client: DaemonClient) -> dict[str, int]:
    return connections_of((await client.get("/metrics", MOST_CHARACTERS)).decode("utf-8", "replace"))


async def _handovers(client: DaemonClient) -> tuple[dict[str, Any], ...]:
    return handovers_of(await client.get_json(f"/history?limit={ALL_HANDOVERS}", MOST_BYTES))
