"""The rules that follow from the state alone, applied after each event.  Pure.

No order of events can break them: a version is live if a healthy one exists, the newest request is tried, and a stop continues
until nothing is left.
"""

from __future__ import annotations

from dataclasses import replace

from hanoverd.deploy.effects import (
    CancelReinstatement,
    Detach,
    EndDrain,
    Finish,
    Reinstate,
    RemoveRoutes,
    Retire,
    Sweep,
)
from hanoverd.deploy.requests import NEWER, Request
from hanoverd.deploy.state import Kind, Phase, Role, State, Version
from hanoverd.deploy.step import Step
from hanoverd.deploy.targets import Restart

#: Why handovers are cancelled at a stop.
STOPS = "hanoverd is stopping"

#: How many reinstatements a stop that keeps the live version tries.
MAX_REINSTATEMENTS_WHILE_DETACHING = 5

RESTART_REASON = "the live version has exited"


def decide(step: Step) -> None:
    """Apply the rules for the current phase."""
    match step.state.phase:
        case Phase.RUNNING:
            reinstate_a_version(step)
            _start_restart(step)
            _start_deploy(step)
        case Phase.DETACHING:
            _cancel_attempts(step)
            reinstate_a_version(step)
            _finish_detaching(step)
        case Phase.STOPPING:
            _cancel_attempts(step)
            _retire_all(step)
            _start_sweeping(step)
        case _:
            pass


def successor(state: State) -> Version | None:
    """Return the version that can be reinstated at once: the one that was live last."""
    if state.in_role(Role.REINSTATING) or state.standby_for is not None:
        return None
    if state.phase is Phase.DETACHING and state.failed_reinstatements > MAX_REINSTATEMENTS_WHILE_DETACHING:
        return None
    eligible = [version for version in state.versions.values() if version.can_be_reinstated]
    return max(eligible, key=lambda version: version.live_order, default=None)


def start_reinstatement(step: Step, version: Version) -> None:
    """Start to make a version live again."""
    step.change(version, role=Role.REINSTATING, exit_code=None)
    step.set(is_reinstatement_delayed=False)
    step.emit(Reinstate(version.number))


def reinstate_a_version(step: Step) -> None:
    """If no version is live, reinstate one that needs no new container."""
    if step.state.live:
        return
    found = successor(step.state)
    if found is not None:
        start_reinstatement(step, found)


def _start_restart(step: Step) -> None:
    restarts = step.state.restarts
    if not restarts.is_due or restarts.wanted is None or step.state.restart is not None or step.state.is_engine_lost:
        return
    step.set(restarts=replace(restarts, is_due=False))
    step.start_attempt(Kind.RESTART, Request((RESTART_REASON,), Restart(restarts.wanted)))


def _start_deploy(step: Step) -> None:
    state = step.state
    if state.deploy is None and state.requests.is_empty and not state.requests.is_paused:
        step.set(requests=state.requests.catch_up())
    if step.state.requests.is_empty:
        return
    request = step.state.requests.next_request(if_changed=state.policy.if_changed)
    if state.deploy is not None:
        if request.if_changed and not (state.deploy.cancelled or state.deploy.request.if_changed):
            # What was to be carried out in any case still is, by the newer request.
            step.set(requests=step.state.requests.forced())
            request = replace(request, if_changed=False)
        step.cancel_attempt(state.deploy, NEWER)
    if step.state.deploy is None and not state.is_engine_lost:
        step.set(requests=step.state.requests.cleared())
        step.start_attempt(Kind.DEPLOY, request)


def _cancel_attempts(step: Step) -> None:
    for attempt in step.state.attempts:
        step.cancel_attempt(attempt, STOPS)


def _is_busy(state: State) -> bool:
    return state.is_adopting or bool(state.attempts)


def _finish_detaching(step: Step) -> None:
    state = step.state
    if _is_busy(state) or state.in_role(Role.CANDIDATE, Role.REINSTATING, Role.STOPPING):
        return
    for version in state.in_role(Role.LIVE, Role.DRAINING, Role.STANDBY):
        step.forget(version.number)
        step.emit(Detach(version.number, serves=version.role is Role.LIVE))
    step.set(phase=Phase.ENDED)
    step.emit(Finish())


def _retire_all(step: Step) -> None:
    for version in step.state.in_role(Role.LIVE):
        step.stop_serving(version, Role.STOPPING)
        step.emit(RemoveRoutes(version.number), Retire(version.number, drain=False, keep=False))
    for version in step.state.in_role(Role.DRAINING):
        step.stop_serving(version, Role.STOPPING)
        step.emit(EndDrain(version.number))
    for version in step.state.in_role(Role.REINSTATING):
        step.stop_serving(version, Role.STOPPING)
        step.emit(CancelReinstatement(version.number), Retire(version.number, drain=False, keep=False))
    for version in step.state.in_role(Role.STANDBY):
        step.stop_serving(version, Role.STOPPING)
        step.emit(Retire(version.number, drain=False, keep=False))


def _start_sweeping(step: Step) -> None:
    if _is_busy(step.state) or len(step.state.in_role(Role.KEPT)) < len(step.state.versions):
        return
    step.set(phase=Phase.SWEEPING)
    step.emit(Sweep())
