"""Runs the life of an app: events in, effects out, and what comes of the effects is the next event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.history import History
from hanoverd.deploy.requests import Command
from hanoverd.deploy.state import Attempt, State
from hanoverd.deploy.targets import Target
from hanoverd.deploy.transitions import transition
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.tasks import Tasks

log = Logger()

#: How long the end of the daemon is held up by an engine that does not answer, in seconds.
PATIENCE_AT_THE_END = 10.0


class Workers(Protocol):
    """What does the work that takes time.  None of it fails: what comes of it is sent as an event."""

    async def adopt(self) -> None:
        """Take over what an earlier run left.  Cancel leaves it as it is."""

    async def hand_over(self, attempt: Attempt, number: int) -> None:
        """Bring up a version.  Cancel removes it, up to the flip."""

    async def reinstate(self, number: int) -> None:
        """Make an earlier version live again.  Cancel gives up."""

    async def retire(self, number: int, *, drain: bool, keep: bool) -> None:
        """Drain, stop, and put away or remove a version."""

    async def clean_up(self, effect: ef.CleanUpDead) -> None:
        """Report and remove a live version that has exited."""

    async def remove(self, number: int) -> None:
        """Remove a version."""

    async def unroute(self, number: int | None) -> None:
        """Remove the routes to a version."""

    async def prune(self) -> None:
        """Remove what is not needed any more."""

    async def sweep(self) -> None:
        """Remove what is left of the app."""

    async def detach(self, number: int) -> None:
        """Do not monitor a version any longer."""

    async def wait_for_engine(self) -> None:
        """Fires when the engine answers.  Cancel gives up."""

    async def close(self) -> None:
        """End what is still under way; fires when it is over."""

    def end_drain(self, number: int) -> None:
        """Do not wait for the connections of a version any longer."""

    def kill(self) -> None:
        """Kill what is being stopped."""

    def give_up_after(self, seconds: float) -> None:
        """Wait no longer than this for an engine that does not answer."""

    def save_pause(self, *, is_paused: bool) -> None:
        """Remember over a restart whether triggers are held."""


class Reports(Protocol):
    """What logs and records."""

    def started(self, attempt: Attempt) -> None:
        """An attempt has started."""

    def report(self, effect: ef.Effect) -> None:
        """One of the effects that only report."""


class Orchestrator:
    """Holds the state of one app.  ``send`` is the only way to change it.

    An event that is sent while another one is being handled waits for its turn.  ``start`` before anything else;
    ``workers`` and ``reports`` are set by the wiring.
    """

    workers: Workers
    reports: Reports

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

    # -- what is asked of it

    def start(self) -> None:
        """Take over what an earlier run left, and handle requests from now on."""
        self.send(ev.Started())

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Have a handover started, to what the source has: ``revision``, if it is given."""
        self.send(ev.Triggered(reason, revision))

    def newest_found(self, newest: str) -> None:
        """The source has ``newest``: have a handover started, unless that was obtained, or is being obtained."""
        self.send(ev.NewestFound(newest))

    def request(self, reason: str, target: Target) -> int:
        """Have a handover started as a person asked; returns its ID."""
        number = self._history.reserve_number()
        self.send(ev.CommandReceived(Command(reason, target, number)))
        return number

    async def stop(self) -> None:
        """Stop all versions, or leave the live one running, as the policy says; fires when that is done.

        Ignores cancellation; ``kill`` makes it shorter.  May be called more than once.
        """
        if self._stopped is None:
            self._stopped = Outcome(Deferred.fromCoroutine(self._stop()))
        await shielded(self._stopped.wait())
        self._stopped.get()

    def kill(self) -> None:
        """While stopping: kill what does not stop by itself."""
        self.send(ev.KillRequested())

    async def _stop(self) -> None:
        self.workers.give_up_after(PATIENCE_AT_THE_END)
        self.send(ev.StopRequested())
        await shielded(self._finished)
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        await self._tasks.settled()
        await self.workers.close()

    # -- events and effects

    def send(self, event: ev.Event) -> None:
        """Something has happened.  Never fails."""
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
        try:
            self.state, effects = transition(self.state, event)
        except Exception:  # noqa: BLE001  # a mistake of ours must end neither the daemon nor the version that serves
            log.failure("internal error: the event {what} was not handled", event="internal_error", what=event)
            return
        for effect in effects:
            try:
                self._run(effect)
            except Exception:  # noqa: BLE001  # as above
                log.failure("internal error: the effect {what} was not run", event="internal_error", what=effect)

    def _run(self, effect: ef.Effect) -> None:  # noqa: C901, PLR0912  # one case an effect
        workers = self.workers
        match effect:
            case ef.Adopt():
                self._go("adopt", 0, workers.adopt)
            case ef.CancelAdoption():
                self._cancel("adopt", 0)
            case ef.StartAttempt(attempt):
                self._start(attempt)
            case ef.CancelAttempt(number):
                self._cancel("hand over", number)
            case ef.Reinstate(number):
                workers.end_drain(number)
                self._go("return", number, lambda: workers.reinstate(number))
            case ef.CancelReinstatement(number):
                self._cancel("return", number)
            case ef.RemoveRoutes(of):
                self._go("unroute", -1 if of is None else of, lambda: workers.unroute(of))
            case ef.Retire(number, drain, keep):
                self._go("retire", number, lambda: workers.retire(number, drain=drain, keep=keep))
            case ef.EndDrain(number):
                workers.end_drain(number)
            case ef.Detach(number):
                workers.end_drain(number)
                self._go("detach", number, lambda: workers.detach(number))
            case ef.Remove(number):
                self._go("remove", number, lambda: workers.remove(number))
            case ef.CleanUpDead(number):
                self._go("clean up", number, lambda: workers.clean_up(effect))
            case ef.StartTimer(timer, seconds, number):
                self._cancel_timer(timer, number)
                self._timers[timer, number] = self._clock.callLater(seconds, self._timer_expired, timer, number)
            case ef.CancelTimer(timer, number):
                self._cancel_timer(timer, number)
            case ef.WaitForEngine():
                self._go("engine", 0, workers.wait_for_engine)
            case ef.StopWaitingForEngine():
                self._cancel("engine", 0)
            case ef.Prune():
                self._go("prune", 0, workers.prune)
            case ef.SavePause(is_paused):
                workers.save_pause(is_paused=is_paused)
            case ef.Kill():
                workers.kill()
            case ef.Sweep():
                self._go("sweep", 0, workers.sweep)
            case ef.Finish():
                self._finished.callback(None)
            case _:
                self.reports.report(effect)

    def _start(self, attempt: Attempt) -> None:
        assert attempt.number is not None  # noqa: S101  # one that is started has its number
        number = attempt.number
        self.reports.started(attempt)
        self._go("hand over", number, lambda: self.workers.hand_over(attempt, number))

    def _go(self, name: str, number: int, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
        """Start work in the reactor's next turn, when this event is handled."""
        task = _Task(self._clock, work)
        self._cancellable[name, number] = task
        self._tasks.start(self._ending(name, number, task))

    async def _ending(self, name: str, number: int, task: _Task) -> None:
        try:
            await shielded(task.over)
        finally:
            if self._cancellable.get((name, number)) is task:
                del self._cancellable[name, number]

    def _cancel(self, name: str, number: int) -> None:
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
    """Work that starts in the reactor's next turn.  A cancel before that reaches it when it has started: it must always say
    what came of it.
    """

    def __init__(self, clock: IReactorTime, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
        self._work = work
        self._running: Deferred[None] | None = None
        self._is_cancelled = False
        self.over: Deferred[None] = Deferred()
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
        self._running.chainDeferred(self.over)
