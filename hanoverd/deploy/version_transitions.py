"""The transitions of one version that is or was live: it exits, fails a check, drains, is kept or is gone.  Pure; the table
is in ``transitions``.
"""

from __future__ import annotations

from hanoverd.deploy import events as ev
from hanoverd.deploy.decisions import MAX_REINSTATEMENTS_WHILE_DETACHING, start_reinstatement, successor
from hanoverd.deploy.effects import (
    CleanUpDead,
    Prune,
    Remove,
    RemoveRoutes,
    ReportReinstatementFailed,
    ReportUnhealthy,
    StartTimer,
    TimerKind,
)
from hanoverd.deploy.state import Phase, Role, State, Version
from hanoverd.deploy.step import Step, backoff


def exited(step: Step, event: ev.Exited) -> None:
    """Note the exit of a container; a live version is replaced."""
    version = step.state.versions.get(event.number)
    if version is None or version.role in (Role.STANDBY, Role.STOPPING, Role.KEPT):
        # hanoverd stopped it.
        return
    version = step.change(version, exit_code=event.code)
    if version.role is Role.LIVE:
        live_exited(step, version, event.code)


def live_exited(step: Step, version: Version, code: int) -> None:
    """Replace a live version that has exited: by one that can serve at once, or by a restart if the policy allows it."""
    step.stop_serving(version, Role.STOPPING)
    step.emit(RemoveRoutes(version.number))
    following = None if step.state.live else _expected_successor(step.state)
    delay = None
    # A version that has not settled is not restarted if the version that it replaced can serve.
    if version.recipe is not None and (following is None or version.has_settled):
        delay = step.schedule_restart(version.recipe, code)
    step.emit(CleanUpDead(version.number, code, None if following is None else following.number, delay))


def _expected_successor(state: State) -> Version | None:
    return next(iter(state.in_role(Role.REINSTATING)), None) or successor(state)


def unhealthy(step: Step, event: ev.Unhealthy) -> None:
    """Replace a live version that failed its liveness check; it serves until its successor is live."""
    version = step.state.versions.get(event.number)
    if version is None or version.role is not Role.LIVE or step.state.phase is not Phase.RUNNING:
        return
    if step.state.restarts.wanted is not None or step.state.in_role(Role.REINSTATING):
        # It is being replaced already.
        return
    following = None if version.has_settled else successor(step.state)
    if following is not None:
        step.change(version, is_rejected=True)
        start_reinstatement(step, following)
        step.emit(ReportUnhealthy(event.number, event.reason, following.number, None))
    elif version.recipe is not None:
        delay = step.schedule_restart(version.recipe, None)
        step.emit(ReportUnhealthy(event.number, event.reason, None, delay))


def reinstatement_failed(step: Step, event: ev.ReinstatementFailed) -> None:
    """Retry the reinstatement after a delay, or give the version up if its container is gone."""
    version = step.state.versions.get(event.number)
    if version is None or version.role is not Role.REINSTATING:
        return
    step.set(is_reinstatement_delayed=False)
    if event.is_gone or version.has_exited:
        step.stop_serving(version, Role.STOPPING)
        step.emit(Remove(version.number))
        delay = None
        needs_restart = not step.state.live and step.state.restarts.wanted is None and successor(step.state) is None
        if needs_restart and version.recipe is not None:
            # The restart policy is about exits.  A version that has not exited was stopped by hanoverd: restart it in any case.
            delay = step.schedule_restart(version.recipe, version.exit_code, always=not version.has_exited)
        step.emit(ReportReinstatementFailed(event.number, event.error, delay))
        return
    failures = step.state.failed_reinstatements + 1
    step.set(failed_reinstatements=failures)
    if step.state.phase is Phase.DETACHING and failures > MAX_REINSTATEMENTS_WHILE_DETACHING:
        step.stop_serving(version, Role.STANDBY)
        step.emit(ReportReinstatementFailed(event.number, event.error, None))
        return
    delay = backoff(failures)
    step.set(is_reinstatement_delayed=True)
    step.emit(
        ReportReinstatementFailed(event.number, event.error, delay),
        StartTimer(TimerKind.REINSTATE, delay, event.number),
    )


def drain_ended(step: Step, event: ev.DrainEnded) -> None:
    """Note that a draining version is being stopped."""
    version = step.state.versions.get(event.number)
    if version is not None and version.role is Role.DRAINING:
        step.stop_serving(version, Role.STOPPING)


def kept(step: Step, event: ev.Kept) -> None:
    """Note that a stopped version can be rolled back to."""
    version = step.state.versions.get(event.number)
    if version is not None and version.role is Role.STOPPING:
        step.stop_serving(version, Role.KEPT)
        step.emit(Prune())


def gone(step: Step, event: ev.Gone) -> None:
    """Forget a version."""
    version = step.state.versions.get(event.number)
    if version is None:
        return
    step.forget(event.number)
    if version.role is Role.STOPPING:
        step.emit(Prune())


def reinstatement_due(step: Step, version: Version | None) -> None:
    """Retry a reinstatement whose delay is over."""
    if version is None or version.role is not Role.REINSTATING or not step.state.is_reinstatement_delayed:
        return
    if version.has_exited:
        reinstatement_failed(step, ev.ReinstatementFailed(version.number, "it exited", is_gone=True))
    else:
        start_reinstatement(step, version)
