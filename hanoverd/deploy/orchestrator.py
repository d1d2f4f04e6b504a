"""Runs the life of an app: each event changes the state, and the effects that follow from it are run.

The way of a trigger: ``trigger`` sends an event; ``transitions`` returns the next state and the effect ``StartAttempt``;
``Handovers.hand_over`` does the work, and its result is the next event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.adoption import Adoption
from hanoverd.deploy.handover import Handovers
from hanoverd.deploy.history import History
from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.deploy.pause import PauseFile
from hanoverd.deploy.removals import Removals
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.requests import Command, missed_reason
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.retirement import Retirement
from hanoverd.deploy.state import Attempt, State
from hanoverd.deploy.targets import Target
from hanoverd.deploy.transitions import transition
from hanoverd.history.record import Origin
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.tasks import Tasks
from hanoverd.versions.stopping import Stopper

log = Logger()

#: How long a stop waits for an engine that does not answer, in seconds.
ENGINE_WAIT_AT_STOP = 10.0


@dataclass(frozen=True)
class Parts:
    """The parts of an app that do what the effects ask for.

    Their coroutines do not fail: the result of the work, a failure too, is an event.
    """

    adoption: Adoption
    handovers: Handovers
    retirement: Retirement
    retention: Retention
    removals: Removals
    stopper: Stopper
    reporter: Reporter
    pause_file: PauseFile
    numbers: VersionNumbers


class Orchestrator:
    """Holds the state of one app.  ``send`` is the only way to change it.

    An event that is sent while another one is handled waits until that is done.  Set ``parts``, then call ``start``.
    """

    parts: Parts

    def __init__(self, clock: IReactorTime, state: State, history: History) -> None:
        self._clock = clock
        self._history = history
        self.state = state
        self._events: deque[ev.Event] = deque()
        self._is_handling = False
        self._tasks = Tasks()
        self._cancellable: dict[tuple[str, int], _Task] = {}
        self._timers: dict[tuple[ef.TimerKind, int], IDelayedCall] = {}
        self._finished: Deferred[None] = Deferred()
        self._stopped: Outcome[None] | None = None

    # -- requests

    def start(self) -> None:
        """Take over what an earlier run left, and handle requests from now on."""
        self.send(ev.Started())

    def trigger(self, reason: str, revision: str | None = None, origin: Origin | None = None) -> None:
        """Request a handover to what the source has: ``revision`` (a commit) if it is given, else the newest."""
        if origin is not None:
            self._history.note_origin(reason, origin)
        self.send(ev.Triggered(reason, revision))

    def newest_found(self, newest: str, origin: Origin | None = None) -> None:
        """Request a handover to ``newest``, which the source has, unless it was obtained or is being obtained."""
        if origin is not None:
            self._history.note_origin(missed_reason(newest), origin)
        self.send(ev.NewestFound(newest))

    def request(
        self,
        reason: str,
        target: Target,
        ready_timeout: float | None = None,
        *,
        if_changed: bool = False,
        origin: Origin | None = None,
    ) -> int:
        """Request a handover to ``target`` for a person, and return its ID in the history; see ``Command``."""
        number = self._history.reserve_number(origin)
        self.send(ev.CommandReceived(Command(reason, target, number, ready_timeout, if_changed)))
        return number

    async def stop(self) -> None:
        """Stop all versions, or with ``Policy.keep`` leave the live one running; fires when that is done.

        Idempotent.  Ignores cancellation; ``kill`` makes it faster.
        """
        if self._stopped is None:
            self._stopped = Outcome(Deferred.fromCoroutine(self._stop()))
        await shielded(self._stopped.wait())
        self._stopped.get()

    def kill(self) -> None:
        """Kill what does not stop by itself.  Call it while stopping."""
        self.send(ev.KillRequested())

    async def _stop(self) -> None:
        self.parts.stopper.give_up_after(ENGINE_WAIT_AT_STOP)
        self.send(ev.StopRequested())
        await shielded(self._finished)
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        await self._tasks.settled()
        await self.parts.removals.close()

    # -- events and effects

    def send(self, event: ev.Event) -> None:
        """Handle an event.  Never fails."""
        self._events.append(event)
        if self._is_handling:
            return
        self._is_handling = True
        try:
            while self._events:
                self._handle(self._events.popleft())
        finally:
            self._is_handling = False

    def _handle(self, event: ev.Event) -> None:
        # A bug must end neither the daemon nor the version that serves.
        effects: tuple[ef.Effect, ...] = ()
        with log.failuresHandled(
            "internal error: an event was not handled: {what}", event="internal_error", what=event
        ):
            self.state, effects = transition(self.state, event)
        for effect in effects:
            with log.failuresHandled(
                "internal error: an effect was not run: {what}", event="internal_error", what=effect
            ):
                self._run(effect)

    def _run(self, effect: ef.Effect) -> None:  # noqa: C901, PLR0912  # one case an effect
        parts = self.parts
        match effect:
            case ef.Adopt():
                self._start_task("adopt", 0, parts.adoption.adopt)
            case ef.CancelAdoption():
                self._cancel_task("adopt", 0)
            case ef.StartAttempt(attempt):
                self._start_attempt(attempt)
            case ef.CancelAttempt(number):
                self._cancel_task("hand over", number)
            case ef.Reinstate(number):
                parts.retirement.end_drain(number)
                self._start_task("reinstate", number, lambda: parts.handovers.reinstate(number))
            case ef.CancelReinstatement(number):
                self._cancel_task("reinstate", number)
            case ef.RemoveRoutes(of):
                self._start_task("remove routes", -1 if of is None else of, lambda: parts.removals.remove_routes(of))
            case ef.Retire(number, drain, keep):
                self._start_task("retire", number, lambda: parts.retirement.retire(number, drain=drain, keep=keep))
            case ef.EndDrain(number):
                parts.retirement.end_drain(number)
            case ef.Detach(number, serves):
                parts.retirement.end_drain(number)
                self._start_task("detach", number, lambda: parts.retirement.detach(number, serves=serves))
            case ef.Remove(number):
                self._start_task("remove", number, lambda: parts.removals.remove_version(number))
            case ef.CleanUpDead(number):
                self._start_task("clean up", number, lambda: parts.removals.clean_up_dead(effect))
            case ef.StartTimer(timer, seconds, number):
                self._cancel_timer(timer, number)
                self._timers[timer, number] = self._clock.callLater(seconds, self._timer_expired, timer, number)
            case ef.CancelTimer(timer, number):
                self._cancel_timer(timer, number)
            case ef.WaitForEngine():
                self._start_task("wait for engine", 0, parts.handovers.wait_for_engine)
            case ef.StopWaitingForEngine():
                self._cancel_task("wait for engine", 0)
            case ef.Prune():
                self._start_task("prune", 0, parts.retention.prune)
            case ef.SavePause(is_paused):
                parts.pause_file.save(is_paused=is_paused)
            case ef.Kill():
                parts.retirement.kill()
                parts.removals.kill()
            case ef.Sweep():
                self._start_task("sweep", 0, parts.removals.sweep)
            case ef.Finish():
                self._finished.callback(None)
            case _:
                parts.reporter.report(effect)

    def _start_attempt(self, attempt: Attempt) -> None:
        assert attempt.number is not None  # noqa: S101  # ``Step.run_attempt`` has set it
        number = attempt.number
        self.parts.numbers.use(number)
        self.parts.reporter.started(attempt)
        self._start_task("hand over", number, lambda: self.parts.handovers.hand_over(attempt, number))

    def _start_task(self, name: str, number: int, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
        """Start work in the reactor's next turn, when this event is handled."""
        task = _Task(self._clock, work)
        self._cancellable[name, number] = task
        self._tasks.start(self._run_to_end(name, number, task))

    async def _run_to_end(self, name: str, number: int, task: _Task) -> None:
        try:
            await shielded(task.ended)
        finally:
            if self._cancellable.get((name, number)) is task:
                del self._cancellable[name, number]

    def _cancel_task(self, name: str, number: int) -> None:
        task = self._cancellable.get((name, number))
        if task is not None:
            task.cancel()

    def _cancel_timer(self, timer: ef.TimerKind, number: int) -> None:
        call = self._timers.pop((timer, number), None)
        if call is not None and call.active():
            call.cancel()

    def _timer_expired(self, timer: ef.TimerKind, number: int) -> None:
        self._timers.pop((timer, number), None)
        self.send(ev.TimerExpired(timer, number))


class _Task:
    """Work that starts in the reactor's next turn.

    Work that is cancelled before that is started and then cancelled, because its result must be sent in any case.
    """

    def __init__(self, clock: IReactorTime, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
        self._work = work
        self._running: Deferred[None] | None = None
        self._is_cancelled = False
        #: Fires, or fails, when the work has ended.
        self.ended: Deferred[None] = Deferred()
        clock.callLater(0, self._start)

    def cancel(self) -> None:
        """Cancel the work."""
        self._is_cancelled = True
        if self._running is not None:
            self._running.cancel()

    def _start(self) -> None:
        self._running = Deferred.fromCoroutine(self._work())
        if self._is_cancelled:
            self._running.cancel()
        self._running.chainDeferred(self.ended)
