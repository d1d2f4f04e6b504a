"""The life of an app as a function: ``transition(state, event)`` returns the next state and the effects.  Pure.

The handlers of requests and handovers are here; ``version_transitions`` and ``daemon_transitions`` have the others.  A handler
notes what the event reports.  What follows from the state as a whole is decided afterwards, in ``decisions``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hanoverd.deploy import daemon_transitions as daemon
from hanoverd.deploy import events as ev
from hanoverd.deploy import version_transitions as versions
from hanoverd.deploy.decisions import (
    STOPS,
    decide,
)
from hanoverd.deploy.effects import (
    CancelReinstatement,
    CancelTimer,
    Effect,
    Prune,
    RemoveRoutes,
    ReportCancelled,
    ReportEngineLost,
    ReportFailed,
    ReportHeld,
    ReportLive,
    ReportUnchanged,
    Retire,
    SavePause,
    StartTimer,
    TimerKind,
    WaitForEngine,
)
from hanoverd.deploy.requests import NEWER
from hanoverd.deploy.state import FULL_SHARE, Attempt, Phase, Restarts, Role, State
from hanoverd.deploy.step import STABLE_AFTER, Step

#: After so many losses of the engine a handover fails: it may be the handover that crashes the engine.
MOST_LOSSES = 3

#: Why a restart is cancelled when another version goes live first.
OTHER_IS_LIVE = "another version is live"


def transition(state: State, event: ev.Event) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after ``event``, and the effects in the order in which they are run."""
    step = Step(state)
    if state.phase is not Phase.ENDED:
        HANDLERS[type(event)](step, event)
        decide(step)
    return step.state, tuple(step.effects)


# -- requests


def _triggered(step: Step, event: ev.Triggered) -> None:
    if step.state.is_stopping:
        return
    if step.state.requests.is_paused:
        step.emit(ReportHeld(event.reason))
    step.set_requests(step.state.requests.add_trigger(event.reason, event.revision), NEWER)


def _command_received(step: Step, event: ev.CommandReceived) -> None:
    step.set_requests(step.state.requests.add_command(event.command), NEWER)
    if step.state.is_stopping:
        step.set_requests(step.state.requests.cleared(), STOPS)


def _newest_found(step: Step, event: ev.NewestFound) -> None:
    step.set(requests=step.state.requests.newest_found(event.newest))


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


def _live_stopped(step: Step, event: ev.LiveStopped) -> None:
    step.set(standby_for=event.number)
    for version in step.state.in_role(Role.LIVE):
        step.stop_serving(version, Role.STANDBY)


def _flipped(step: Step, event: ev.Flipped) -> None:
    state = step.state
    version = state.versions.get(event.number)
    if version is None or version.role is Role.STOPPING:
        # The stop came after the point of no return, and removes the container.
        step.emit(RemoveRoutes(event.number))
        return
    attempt = state.attempt_of(event.number)
    _replace_others(step, event)
    version = step.change(
        version,
        role=Role.LIVE,
        recipe=event.recipe,
        share=FULL_SHARE,
        live_order=step.take_live_order(),
        is_verified=True,
        has_settled=version.role is Role.REINSTATING or state.policy.settle <= 0,
    )
    step.set(failed_reinstatements=0, is_reinstatement_delayed=False, standby_for=None)
    step.emit(StartTimer(TimerKind.STABLE, STABLE_AFTER, version.number))
    if not version.has_settled:
        step.emit(StartTimer(TimerKind.SETTLED, state.policy.settle, version.number))
    if attempt is not None:
        _succeeded(step, attempt)
    step.emit(Prune())
    if version.exit_code is not None:
        versions.live_exited(step, version, version.exit_code)


def _replace_others(step: Step, event: ev.Flipped) -> None:
    """Retire the versions that were live, on standby or being reinstated before the flip."""
    state = step.state
    for old in state.in_role(Role.LIVE):
        step.stop_serving(old, Role.DRAINING)
        if old.number not in event.replaced:
            step.emit(Retire(old.number, drain=True, keep=True))
    for old in state.in_role(Role.STANDBY):
        step.stop_serving(old, Role.STOPPING)
        if state.standby_for != event.number:
            # Otherwise the handover for which it was stopped retires it.
            step.emit(Retire(old.number, drain=False, keep=True))
    for old in state.in_role(Role.REINSTATING):
        if old.number != event.number:
            step.stop_serving(old, Role.DRAINING)
            step.emit(CancelReinstatement(old.number), Retire(old.number, drain=True, keep=True))


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
    delay = step.retry_restart(attempt)
    serving = step.state.newest_live
    step.emit(
        ReportFailed(attempt, event.number, event.error, None if serving is None else serving.number, delay), Prune()
    )


def _attempt_cancelled(step: Step, event: ev.AttemptCancelled) -> None:
    attempt = step.state.attempt_of(event.number)
    if attempt is None:
        return
    _end_attempt(step, attempt, event.number)
    step.emit(ReportCancelled(attempt), Prune())
    step.retry_restart(attempt)


def _end_attempt(step: Step, attempt: Attempt, number: int) -> None:
    step.set_attempt(attempt.kind, None)
    if step.state.standby_for == number:
        step.set(standby_for=None)
    version = step.state.versions.get(number)
    if version is not None:
        step.stop_serving(version, Role.STOPPING)


def _name_taken(step: Step, event: ev.NameTaken) -> None:
    attempt = _attempt_without_container(step, event.number)
    if attempt is None:
        return
    step.set(next_number=max(event.next_number, step.state.next_number))
    _run_again(step, attempt)


def _unchanged(step: Step, event: ev.Unchanged) -> None:
    attempt = _attempt_without_container(step, event.number)
    if attempt is None:
        return
    live = step.state.steady_live
    if live is None or live.number != event.live:
        # It has exited, or was replaced, in the meantime.
        _run_again(step, attempt)
        return
    step.set_attempt(attempt.kind, None)
    step.emit(ReportUnchanged(attempt, event.live))


def _attempt_without_container(step: Step, number: int) -> Attempt | None:
    """Forget the version ``number``, which never had a container; return its attempt, None if that is over or cancelled."""
    attempt = step.state.attempt_of(number)
    if attempt is None:
        return None
    step.forget(number)
    if attempt.cancelled:
        _attempt_cancelled(step, ev.AttemptCancelled(number))
        return None
    return attempt


def _run_again(step: Step, attempt: Attempt) -> None:
    """Start an attempt again, with the next number."""
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


HANDLERS: dict[type[Any], Callable[[Step, Any], None]] = {
    ev.Started: daemon.started,
    ev.Adopted: daemon.adopted,
    ev.AdoptionFailed: daemon.adoption_failed,
    ev.AdoptionCancelled: daemon.adoption_cancelled,
    ev.Triggered: _triggered,
    ev.CommandReceived: _command_received,
    ev.NewestFound: _newest_found,
    ev.CancelRequested: _cancel_requested,
    ev.Paused: _paused,
    ev.Resumed: _resumed,
    ev.Obtained: _obtained,
    ev.LiveStopped: _live_stopped,
    ev.Flipped: _flipped,
    ev.AttemptFailed: _attempt_failed,
    ev.AttemptCancelled: _attempt_cancelled,
    ev.Unchanged: _unchanged,
    ev.NameTaken: _name_taken,
    ev.EngineLost: _engine_lost,
    ev.EngineBack: _engine_back,
    ev.ReinstatementFailed: versions.reinstatement_failed,
    ev.Exited: versions.exited,
    ev.Unhealthy: versions.unhealthy,
    ev.DrainEnded: versions.drain_ended,
    ev.Kept: versions.kept,
    ev.Gone: versions.gone,
    ev.PruneFailed: daemon.prune_failed,
    ev.TimerExpired: daemon.timer_expired,
    ev.StopRequested: daemon.stop_requested,
    ev.KillRequested: daemon.kill_requested,
    ev.Swept: daemon.swept,
}
