"""The transitions of the daemon itself: the start, its timers, and the stop.  Pure; the table is in ``transitions``."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.deploy import events as ev
from hanoverd.deploy.decisions import MAX_REINSTATEMENTS_WHILE_DETACHING, STOPS
from hanoverd.deploy.effects import (
    Adopt,
    CancelAdoption,
    CancelReinstatement,
    CancelTimer,
    Finish,
    Kill,
    Prune,
    Reinstate,
    Remove,
    ReportAdoptionFailed,
    Retire,
    SavePause,
    StartTimer,
    StopWaitingForEngine,
    TimerKind,
)
from hanoverd.deploy.state import FULL_SHARE, Phase, Role, Version
from hanoverd.deploy.step import PRUNE_RETRY_DELAY, STABLE_AFTER, Step, backoff
from hanoverd.deploy.version_transitions import reinstatement_due


def started(step: Step, _event: ev.Started) -> None:
    """Look for what an earlier run left, before anything else."""
    if step.state.phase is Phase.STARTING and not step.state.is_adopting:
        step.set(is_adopting=True)
        step.emit(Adopt())


def adopted(step: Step, event: ev.Adopted) -> None:
    """Note which versions an earlier run left, retire or remove those that do not serve, and start to handle requests."""
    step.set(is_adopting=False, next_number=max(event.next_number, step.state.next_number))
    for number, was_live in sorted(event.draining):
        step.put(Version(number, Role.DRAINING, live_order=step.take_live_order() if was_live else 0))
    if event.serves is not None:
        live_order = step.take_live_order()
        step.put(
            Version(event.serves, Role.LIVE, event.recipe, FULL_SHARE, live_order, event.is_ready, has_settled=True)
        )
        step.emit(StartTimer(TimerKind.STABLE, STABLE_AFTER, event.serves))
    for number, was_live in event.draining:
        step.emit(Retire(number, drain=True, keep=was_live))
    for number in event.unusable:
        step.put(Version(number, Role.STOPPING))
        step.emit(Remove(number))
    for number in event.kept:
        step.put(Version(number, Role.KEPT))
    if step.state.phase is Phase.STARTING:
        step.set(phase=Phase.RUNNING)
        if event.serves is not None:
            # This also finds the versions that can be rolled back to.
            step.emit(Prune())
        if event.serves is None and step.state.requests.is_paused and step.state.requests.is_empty:
            # A pause holds back changes of the live version.  It does not keep an app from starting.
            step.set(requests=step.state.requests.release())


def adoption_failed(step: Step, event: ev.AdoptionFailed) -> None:
    """Retry the adoption after a delay; requests wait until it succeeds."""
    step.set(is_adopting=False)
    if step.state.phase is Phase.STARTING:
        delay = backoff(step.state.failed_adoptions)
        step.set(failed_adoptions=step.state.failed_adoptions + 1)
        step.emit(ReportAdoptionFailed(event.error, delay), StartTimer(TimerKind.ADOPT, delay))


def adoption_cancelled(step: Step, _event: ev.AdoptionCancelled) -> None:
    """Note that the adoption has stopped: the daemon is stopping."""
    step.set(is_adopting=False)


def prune_failed(step: Step, _event: ev.PruneFailed) -> None:
    """Retry the removal of old versions and images after a delay."""
    if step.state.phase is Phase.RUNNING:
        step.emit(StartTimer(TimerKind.PRUNE, PRUNE_RETRY_DELAY))


def timer_expired(step: Step, event: ev.TimerExpired) -> None:
    """Do what the timer was started for, if it is still needed."""
    version = step.state.versions.get(event.number)
    match event.timer:
        case TimerKind.ADOPT:
            started(step, ev.Started())
        case TimerKind.RESTART:
            step.set(restarts=replace(step.state.restarts, is_due=step.state.restarts.wanted is not None))
        case TimerKind.REINSTATE:
            reinstatement_due(step, version)
        case TimerKind.STABLE:
            if version is not None and version.role is Role.LIVE:
                step.set(restarts=replace(step.state.restarts, count=0))
        case TimerKind.SETTLED:
            if version is not None and version.role is Role.LIVE:
                step.change(version, has_settled=True)
        case TimerKind.PRUNE:
            if step.state.phase is Phase.RUNNING:
                step.emit(Prune())


def stop_requested(step: Step, event: ev.StopRequested) -> None:
    """Start to stop: accept no more requests, and end every wait."""
    if step.state.is_stopping:
        return
    keep = step.state.policy.keep and not event.ends_app
    step.set(phase=Phase.DETACHING if keep else Phase.STOPPING)
    step.set_requests(step.state.requests.cleared(), STOPS)
    if step.state.is_adopting:
        step.emit(CancelAdoption())
    if step.state.is_engine_lost:
        step.set(is_engine_lost=False)
        step.emit(StopWaitingForEngine())
    if step.state.is_reinstatement_delayed and keep:
        # A stop does not wait for a long delay.
        step.set(is_reinstatement_delayed=False, failed_reinstatements=0)
        for version in step.state.in_role(Role.REINSTATING):
            step.emit(CancelTimer(TimerKind.REINSTATE, version.number), Reinstate(version.number))


def kill_requested(step: Step, _event: ev.KillRequested) -> None:
    """Kill what is being stopped, and start no more reinstatements."""
    if step.state.phase is Phase.DETACHING:
        step.set(failed_reinstatements=MAX_REINSTATEMENTS_WHILE_DETACHING + 1)
        for version in step.state.in_role(Role.REINSTATING):
            step.stop_serving(version, Role.STANDBY)
            step.emit(CancelReinstatement(version.number))
    step.emit(Kill())


def swept(step: Step, _event: ev.Swept) -> None:
    """Finish the stop: nothing of the app is left."""
    step.set(phase=Phase.ENDED, versions={})
    if step.state.requests.is_paused:
        # The version that the pause protected is gone: the next start is not paused.
        step.emit(SavePause(is_paused=False))
    step.emit(Finish())
