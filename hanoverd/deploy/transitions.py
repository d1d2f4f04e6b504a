"""The life of an app as a function: ``transition(state, event)`` returns the next state and what is to be done.  Pure.

A handler notes what the event says.  What follows from the state as a whole is decided afterwards, in ``decisions``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hanoverd.deploy import events as ev
from hanoverd.deploy.decisions import (
    MOST_RETURNS_WHILE_LEAVING,
    STOPS,
    decide,
    return_version,
    successor,
)
from hanoverd.deploy.effects import (
    Adopt,
    CancelAdoption,
    CancelReturn,
    CancelTimer,
    CleanUpDead,
    Discard,
    Effect,
    Finish,
    Hasten,
    ReportAdoptionFailed,
    ReportCancelled,
    ReportEngineLost,
    ReportFailed,
    ReportHeld,
    ReportLive,
    ReportReturnFailed,
    ReportUnhealthy,
    Retire,
    Return,
    SavePause,
    StartTimer,
    StopWaitingForEngine,
    Tidy,
    TimerKind,
    Unroute,
    WaitForEngine,
)
from hanoverd.deploy.requests import NEWER
from hanoverd.deploy.state import WHOLE, Attempt, Phase, Restarts, Role, State, Version
from hanoverd.deploy.step import Step, backoff

#: After so many seconds of being live, a version has proved itself, and restarts are counted from 0 again, as Docker does.
PROVED_AFTER = 10.0

#: How often the engine may be lost during one handover until that has failed: it may be the handover that ends the engine.
MOST_LOSSES = 3

#: Why a restart ends when another version goes live first.
OTHER_IS_LIVE = "another version is live"


def transition(state: State, event: ev.Event) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after ``event``, and the effects to be run, in their order."""
    step = Step(state)
    if state.phase is not Phase.ENDED:
        _HANDLERS[type(event)](step, event)
        decide(step)
    return step.state, tuple(step.effects)


# -- the start


def _started(step: Step, _event: ev.Started) -> None:
    if step.state.phase is Phase.STARTING and not step.state.is_adopting:
        step.set(is_adopting=True)
        step.emit(Adopt())


def _adopted(step: Step, event: ev.Adopted) -> None:
    step.set(is_adopting=False, next_number=max(event.next_number, step.state.next_number))
    if event.serves is not None:
        turn = step.state.next_turn
        step.set(next_turn=turn + 1)
        step.state = step.state.with_version(
            Version(event.serves, Role.LIVE, event.recipe, WHOLE, turn, event.is_ready, has_settled=True)
        )
        step.emit(StartTimer(TimerKind.PROVED, PROVED_AFTER, event.serves))
    for number, was_live in event.draining:
        step.state = step.state.with_version(Version(number, Role.DRAINING))
        step.emit(Retire(number, drain=True, keep=was_live))
    for number in event.unusable:
        step.state = step.state.with_version(Version(number, Role.STOPPING))
        step.emit(Discard(number))
    for number in event.kept:
        step.state = step.state.with_version(Version(number, Role.KEPT))
    if step.state.phase is Phase.STARTING:
        step.set(phase=Phase.RUNNING)
        if event.serves is not None:
            # Finds out what can be rolled back to.
            step.emit(Tidy())
        if event.serves is None and step.state.requests.is_paused and step.state.requests.is_empty:
            # A pause holds changes of the live version; it does not keep an app down.
            step.set(requests=step.state.requests.release())


def _adoption_failed(step: Step, event: ev.AdoptionFailed) -> None:
    step.set(is_adopting=False)
    if step.state.phase is Phase.STARTING:
        delay = backoff(step.state.failed_adoptions)
        step.set(failed_adoptions=step.state.failed_adoptions + 1)
        step.emit(ReportAdoptionFailed(event.error, delay), StartTimer(TimerKind.ADOPT, delay))


def _adoption_cancelled(step: Step, _event: ev.AdoptionCancelled) -> None:
    step.set(is_adopting=False)


# -- requests


def _triggered(step: Step, event: ev.Triggered) -> None:
    if step.state.is_stopping:
        return
    if step.state.requests.is_paused:
        step.emit(ReportHeld(event.reason))
    step.set_requests(step.state.requests.trigger(event.reason, event.revision), NEWER)


def _ordered(step: Step, event: ev.Ordered) -> None:
    step.set_requests(step.state.requests.ask(event.order), NEWER)
    if step.state.is_stopping:
        step.set_requests(step.state.requests.cleared(), STOPS)


def _found(step: Step, event: ev.Found) -> None:
    step.set(requests=step.state.requests.found(event.newest))


def _cancel_requested(step: Step, event: ev.CancelRequested) -> None:
    step.set_requests(step.state.requests.cleared(), event.why)
    for attempt in step.state.attempts:
        step.cancel_attempt(attempt, event.why)


def _paused(step: Step, _event: ev.Paused) -> None:
    step.set(requests=step.state.requests.pause())
    step.emit(SavePause(is_paused=True))


def _resumed(step: Step, _event: ev.Resumed) -> None:
    step.set_requests(step.state.requests.resume(), NEWER)
    step.emit(SavePause(is_paused=False))


def _obtained(step: Step, event: ev.Obtained) -> None:
    step.set(requests=replace(step.state.requests, obtained=event.revision))


# -- a handover


def _made_room(step: Step, event: ev.MadeRoom) -> None:
    step.set(room_for=event.number)
    for version in step.state.in_role(Role.LIVE):
        step.stop_serving(version, Role.STANDBY)


def _flipped(step: Step, event: ev.Flipped) -> None:
    state = step.state
    version = state.versions.get(event.number)
    if version is None or version.role is Role.STOPPING:
        # The stop came after the point of no return, and has the container.
        step.emit(Unroute(event.number))
        return
    attempt = state.attempt_of(event.number)
    _replace_others(step, event)
    version = step.change(
        version,
        role=Role.LIVE,
        recipe=event.recipe,
        share=WHOLE,
        turn=state.next_turn,
        is_verified=True,
        has_settled=version.role is Role.RETURNING or state.policy.settle <= 0,
    )
    step.set(next_turn=state.next_turn + 1, failed_returns=0, is_return_delayed=False, room_for=None)
    step.emit(StartTimer(TimerKind.PROVED, PROVED_AFTER, version.number))
    if not version.has_settled:
        step.emit(StartTimer(TimerKind.SETTLED, state.policy.settle, version.number))
    if attempt is not None:
        _succeeded(step, attempt)
    step.emit(Tidy())
    if version.exit_code is not None:
        _live_exited(step, version, version.exit_code)


def _replace_others(step: Step, event: ev.Flipped) -> None:
    """Retire the versions that served, or were about to, before ``event``."""
    state = step.state
    for old in state.in_role(Role.LIVE):
        step.stop_serving(old, Role.DRAINING)
        if old.number not in event.replaced:
            step.emit(Retire(old.number, drain=True, keep=True))
    for old in state.in_role(Role.STANDBY):
        step.stop_serving(old, Role.STOPPING)
        if state.room_for != event.number:
            # Else the handover for which it was stopped removes it.
            step.emit(Retire(old.number, drain=False, keep=True))
    for old in state.in_role(Role.RETURNING):
        if old.number != event.number:
            step.stop_serving(old, Role.DRAINING)
            step.emit(CancelReturn(old.number), Retire(old.number, drain=True, keep=True))


def _succeeded(step: Step, attempt: Attempt) -> None:
    step.set_attempt(attempt.kind, None)
    step.set(restarts=Restarts(step.state.restarts.count))
    step.emit(CancelTimer(TimerKind.RESTART), ReportLive(attempt))
    if step.state.restart is not None:
        step.cancel_attempt(step.state.restart, OTHER_IS_LIVE)


def _attempt_failed(step: Step, event: ev.AttemptFailed) -> None:
    attempt = step.state.attempt_of(event.number)
    if attempt is None:
        return
    if attempt.cancelled:
        _attempt_cancelled(step, ev.AttemptCancelled(event.number))
        return
    _end_attempt(step, attempt, event.number)
    delay = step.restart_again(attempt)
    serving = step.state.newest_live
    step.emit(
        ReportFailed(attempt, event.number, event.error, None if serving is None else serving.number, delay), Tidy()
    )


def _attempt_cancelled(step: Step, event: ev.AttemptCancelled) -> None:
    attempt = step.state.attempt_of(event.number)
    if attempt is None:
        return
    _end_attempt(step, attempt, event.number)
    step.emit(ReportCancelled(attempt), Tidy())
    step.restart_again(attempt)


def _end_attempt(step: Step, attempt: Attempt, number: int) -> None:
    step.set_attempt(attempt.kind, None)
    if step.state.room_for == number:
        step.set(room_for=None)
    version = step.state.versions.get(number)
    if version is not None:
        step.stop_serving(version, Role.STOPPING)


def _name_taken(step: Step, event: ev.NameTaken) -> None:
    attempt = step.state.attempt_of(event.number)
    if attempt is None:
        return
    # It never had a container.
    step.state = step.state.without_version(event.number)
    if attempt.cancelled:
        _attempt_cancelled(step, ev.AttemptCancelled(event.number))
        return
    step.set(next_number=max(event.next_number, step.state.next_number))
    if step.state.is_engine_lost:
        # Another handover has lost it: this one waits, too.
        step.set_attempt(attempt.kind, replace(attempt, number=None))
    else:
        step.run_attempt(attempt)


def _engine_lost(step: Step, event: ev.EngineLost) -> None:
    attempt = step.state.attempt_of(event.number)
    if attempt is None or attempt.cancelled or attempt.losses + 1 >= MOST_LOSSES:
        _attempt_failed(step, ev.AttemptFailed(event.number, event.error))
        return
    _end_attempt(step, attempt, event.number)
    waiting = replace(attempt, number=None, losses=attempt.losses + 1)
    step.set_attempt(attempt.kind, waiting)
    step.emit(ReportEngineLost(waiting, event.error))
    if not step.state.is_engine_lost:
        step.set(is_engine_lost=True)
        step.emit(WaitForEngine())


def _engine_back(step: Step, _event: ev.EngineBack) -> None:
    step.set(is_engine_lost=False)
    if step.state.phase is Phase.RUNNING:
        for attempt in step.state.attempts:
            if attempt.number is None:
                step.run_attempt(attempt)


# -- versions


def _exited(step: Step, event: ev.Exited) -> None:
    version = step.state.versions.get(event.number)
    if version is None or version.role in (Role.STANDBY, Role.STOPPING, Role.KEPT):
        # By our own doing.
        return
    version = step.change(version, exit_code=event.code)
    if version.role is Role.LIVE:
        _live_exited(step, version, event.code)


def _live_exited(step: Step, version: Version, code: int) -> None:
    step.stop_serving(version, Role.STOPPING)
    step.emit(Unroute(version.number))
    follower = None if step.state.live else _follower(step.state)
    delay = None
    # A version that did not settle is not tried again while the one that it replaced can serve.
    if version.recipe is not None and (follower is None or version.has_settled):
        delay = step.schedule_restart(version.recipe, code)
    step.emit(CleanUpDead(version.number, code, None if follower is None else follower.number, delay))


def _follower(state: State) -> Version | None:
    return next(iter(state.in_role(Role.RETURNING)), None) or successor(state)


def _unhealthy(step: Step, event: ev.Unhealthy) -> None:
    version = step.state.versions.get(event.number)
    if version is None or version.role is not Role.LIVE or step.state.phase is not Phase.RUNNING:
        return
    if step.state.restarts.wanted is not None or step.state.in_role(Role.RETURNING):
        # It is being replaced already.
        return
    follower = None if version.has_settled else successor(step.state)
    if follower is not None:
        step.change(version, is_rejected=True)
        return_version(step, follower)
        step.emit(ReportUnhealthy(event.number, event.reason, follower.number, None))
    elif version.recipe is not None:
        delay = step.schedule_restart(version.recipe, None)
        step.emit(ReportUnhealthy(event.number, event.reason, None, delay))


def _return_failed(step: Step, event: ev.ReturnFailed) -> None:
    version = step.state.versions.get(event.number)
    if version is None or version.role is not Role.RETURNING:
        return
    step.set(is_return_delayed=False)
    if event.is_gone or version.has_exited:
        step.stop_serving(version, Role.STOPPING)
        step.emit(Discard(version.number))
        delay = None
        needs_restart = not step.state.live and step.state.restarts.wanted is None and successor(step.state) is None
        if needs_restart and version.recipe is not None:
            # One that did not exit was taken out of service by hanoverd, whatever the policy says of exits.
            delay = step.schedule_restart(version.recipe, version.exit_code, always=not version.has_exited)
        step.emit(ReportReturnFailed(event.number, event.error, delay))
        return
    failures = step.state.failed_returns + 1
    step.set(failed_returns=failures)
    if step.state.phase is Phase.LEAVING and failures > MOST_RETURNS_WHILE_LEAVING:
        step.stop_serving(version, Role.STANDBY)
        step.emit(ReportReturnFailed(event.number, event.error, None))
        return
    delay = backoff(failures)
    step.set(is_return_delayed=True)
    step.emit(ReportReturnFailed(event.number, event.error, delay), StartTimer(TimerKind.RETURN, delay, event.number))


def _drain_ended(step: Step, event: ev.DrainEnded) -> None:
    version = step.state.versions.get(event.number)
    if version is not None and version.role is Role.DRAINING:
        step.stop_serving(version, Role.STOPPING)


def _kept(step: Step, event: ev.Kept) -> None:
    version = step.state.versions.get(event.number)
    if version is not None and version.role is Role.STOPPING:
        step.stop_serving(version, Role.KEPT)
        step.emit(Tidy())


def _gone(step: Step, event: ev.Gone) -> None:
    version = step.state.versions.get(event.number)
    if version is None:
        return
    step.state = step.state.without_version(event.number)
    if version.role is Role.STOPPING:
        step.emit(Tidy())


# -- time


def _due(step: Step, event: ev.Due) -> None:
    version = step.state.versions.get(event.number)
    match event.timer:
        case TimerKind.ADOPT:
            _started(step, ev.Started())
        case TimerKind.RESTART:
            step.set(restarts=replace(step.state.restarts, is_due=step.state.restarts.wanted is not None))
        case TimerKind.RETURN:
            _return_due(step, version)
        case TimerKind.PROVED:
            if version is not None and version.role is Role.LIVE:
                step.set(restarts=replace(step.state.restarts, count=0))
        case TimerKind.SETTLED:
            if version is not None and version.role is Role.LIVE:
                step.change(version, has_settled=True)


def _return_due(step: Step, version: Version | None) -> None:
    if version is None or version.role is not Role.RETURNING or not step.state.is_return_delayed:
        return
    if version.has_exited:
        _return_failed(step, ev.ReturnFailed(version.number, "it exited", is_gone=True))
    else:
        return_version(step, version)


# -- the stop


def _stop_requested(step: Step, _event: ev.StopRequested) -> None:
    if step.state.is_stopping:
        return
    keep = step.state.policy.keep
    step.set(phase=Phase.LEAVING if keep else Phase.STOPPING)
    step.set_requests(step.state.requests.cleared(), STOPS)
    if step.state.is_adopting:
        step.emit(CancelAdoption())
    if step.state.is_engine_lost:
        step.set(is_engine_lost=False)
        step.emit(StopWaitingForEngine())
    if step.state.is_return_delayed and keep:
        # There is no time for a long delay.
        step.set(is_return_delayed=False, failed_returns=0)
        for version in step.state.in_role(Role.RETURNING):
            step.emit(CancelTimer(TimerKind.RETURN, version.number), Return(version.number))


def _kill_requested(step: Step, _event: ev.KillRequested) -> None:
    if step.state.phase is Phase.LEAVING:
        step.set(failed_returns=MOST_RETURNS_WHILE_LEAVING + 1)
        for version in step.state.in_role(Role.RETURNING):
            step.stop_serving(version, Role.STANDBY)
            step.emit(CancelReturn(version.number))
    step.emit(Hasten())


def _swept(step: Step, _event: ev.Swept) -> None:
    step.set(phase=Phase.ENDED, versions={})
    if step.state.requests.is_paused:
        # What was not to change is gone: the next start begins afresh.
        step.emit(SavePause(is_paused=False))
    step.emit(Finish())


_HANDLERS: dict[type[Any], Callable[[Step, Any], None]] = {
    ev.Started: _started,
    ev.Adopted: _adopted,
    ev.AdoptionFailed: _adoption_failed,
    ev.AdoptionCancelled: _adoption_cancelled,
    ev.Triggered: _triggered,
    ev.Ordered: _ordered,
    ev.Found: _found,
    ev.CancelRequested: _cancel_requested,
    ev.Paused: _paused,
    ev.Resumed: _resumed,
    ev.Obtained: _obtained,
    ev.MadeRoom: _made_room,
    ev.Flipped: _flipped,
    ev.AttemptFailed: _attempt_failed,
    ev.AttemptCancelled: _attempt_cancelled,
    ev.NameTaken: _name_taken,
    ev.EngineLost: _engine_lost,
    ev.EngineBack: _engine_back,
    ev.ReturnFailed: _return_failed,
    ev.Exited: _exited,
    ev.Unhealthy: _unhealthy,
    ev.DrainEnded: _drain_ended,
    ev.Kept: _kept,
    ev.Gone: _gone,
    ev.Due: _due,
    ev.StopRequested: _stop_requested,
    ev.KillRequested: _kill_requested,
    ev.Swept: _swept,
}
