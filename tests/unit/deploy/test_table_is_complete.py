"""The transition table is complete: each event has its tests, in each phase, and for each role of a version."""

from __future__ import annotations

import typing
from dataclasses import fields

import pytest

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy import transitions
from hanoverd.deploy.requests import Command
from hanoverd.deploy.state import Phase, Role
from hanoverd.deploy.targets import Source
from tests.unit.deploy import (
    test_table_handover,
    test_table_requests,
    test_table_start,
    test_table_stop,
    test_table_versions,
)
from tests.unit.deploy.simulation import recipe
from tests.unit.deploy.table import Case, app, deploy, kept, live, stopping

EVENTS: tuple[type, ...] = typing.get_args(ev.Event)

CASES: list[Case] = [
    case
    for table in (test_table_start, test_table_requests, test_table_handover, test_table_versions, test_table_stop)
    for case in table.CASES
]

#: A version that is unknown.
UNKNOWN = 99

#: Each event; one that is about a version is about one that is not there.
SAMPLES: list[ev.Event] = [
    ev.Started(),
    ev.Adopted(),
    ev.AdoptionFailed("no iptables"),
    ev.AdoptionCancelled(),
    ev.Triggered("push"),
    ev.CommandReceived(Command("as a person asked", Source(), 1)),
    ev.NewestFound("c2"),
    ev.CancelRequested("as asked"),
    ev.Paused(),
    ev.Resumed(),
    ev.Obtained("c1"),
    ev.LiveStopped(UNKNOWN),
    ev.Flipped(UNKNOWN, recipe("unknown")),
    ev.AttemptFailed(UNKNOWN, "it exited"),
    ev.AttemptCancelled(UNKNOWN),
    ev.Unchanged(UNKNOWN, 1),
    ev.NameTaken(UNKNOWN, UNKNOWN + 1),
    ev.EngineLost(UNKNOWN, "lost"),
    ev.EngineBack(),
    ev.ReinstatementFailed(UNKNOWN, "not ready"),
    ev.Exited(UNKNOWN, 0),
    ev.Unhealthy(UNKNOWN, "refused"),
    ev.DrainEnded(UNKNOWN),
    ev.Kept(UNKNOWN),
    ev.Gone(UNKNOWN),
    ev.PruneFailed(),
    ev.TimerExpired(ef.TimerKind.SETTLED, UNKNOWN),
    ev.StopRequested(),
    ev.KillRequested(),
    ev.Swept(),
]

ABOUT_VERSIONS = {type(event) for event in SAMPLES if getattr(event, "number", None) == UNKNOWN}

#: The phases in which no version has a role in which anything could happen to it.
WITHOUT_VERSIONS = (Phase.STARTING, Phase.SWEEPING)

#: What does not happen in a phase: the start is over, or no adoption, no sweep is in progress.
DOES_NOT_HAPPEN = {
    *((ev.Started, phase) for phase in Phase if phase is not Phase.STARTING),
    *((kind, phase) for kind in (ev.Adopted, ev.AdoptionFailed) for phase in (Phase.RUNNING, Phase.SWEEPING)),
    *((ev.AdoptionCancelled, phase) for phase in (Phase.STARTING, Phase.RUNNING, Phase.SWEEPING)),
    *((ev.EngineBack, phase) for phase in WITHOUT_VERSIONS),
    *((ev.Swept, phase) for phase in Phase if phase is not Phase.SWEEPING),
}

#: Versions that make each phase go on.
STATES = {
    Phase.STARTING: app(phase=Phase.STARTING, is_adopting=True),
    Phase.RUNNING: app(live()),
    Phase.DETACHING: app(live(), stopping(9), phase=Phase.DETACHING),
    Phase.STOPPING: app(stopping(9), kept(3), phase=Phase.STOPPING),
    Phase.SWEEPING: app(kept(3), phase=Phase.SWEEPING),
    Phase.ENDED: app(phase=Phase.ENDED),
}

#: These are about a version that was given its role for them; about any other they say nothing (see ``UNKNOWN``).
ONLY_ABOUT: dict[type, set[Role]] = {
    ev.LiveStopped: {Role.CANDIDATE},
    ev.Flipped: {Role.CANDIDATE, Role.REINSTATING},
    ev.AttemptFailed: {Role.CANDIDATE},
    ev.AttemptCancelled: {Role.CANDIDATE},
    ev.Unchanged: {Role.CANDIDATE},
    ev.NameTaken: {Role.CANDIDATE},
    ev.EngineLost: {Role.CANDIDATE},
    ev.TimerExpired: {Role.LIVE, Role.DRAINING, Role.REINSTATING},
}


def _name(value: object) -> str:
    return value.value if isinstance(value, Phase) else type(value).__name__


def test_each_event_has_a_handler() -> None:
    assert set(transitions.HANDLERS) == set(EVENTS)


def test_each_event_has_a_sample() -> None:
    assert [type(event) for event in SAMPLES] == list(EVENTS)
    assert {kind for kind in EVENTS if "number" in {one.name for one in fields(kind)}} == ABOUT_VERSIONS


def test_each_event_is_tested_in_each_phase() -> None:
    tested = {case.cell for case in CASES} | DOES_NOT_HAPPEN
    tested |= {(kind, phase) for kind in ABOUT_VERSIONS for phase in WITHOUT_VERSIONS}
    tested |= {(kind, Phase.ENDED) for kind in EVENTS}
    missing = {(kind, phase) for kind in EVENTS for phase in Phase} - tested
    assert sorted(f"{kind.__name__} while {phase.value}" for kind, phase in missing) == []


def test_each_event_about_a_version_is_tested_for_each_role() -> None:
    tested = {case.role_cell for case in CASES}
    wanted = {(kind, role) for kind in ABOUT_VERSIONS for role in ONLY_ABOUT.get(kind, set(Role))}
    assert sorted(f"{kind.__name__} of a {role.value} version" for kind, role in wanted - tested) == []


def test_each_case_says_something_else() -> None:
    said = [case.says for case in CASES]
    assert sorted(said) == sorted(set(said))


@pytest.mark.parametrize("phase", Phase, ids=_name)
@pytest.mark.parametrize("event", [event for event in SAMPLES if type(event) in ABOUT_VERSIONS], ids=_name)
def test_news_of_a_version_that_is_not_there_changes_no_version(event: ev.Event, phase: Phase) -> None:
    state = STATES[phase]
    after, effects = transitions.transition(state, event)
    # All that stays behind of it are its routes.
    assert effects == (
        (ef.RemoveRoutes(UNKNOWN),) if isinstance(event, ev.Flipped) and phase is not Phase.ENDED else ()
    )
    if not isinstance(event, ev.LiveStopped):
        assert after == state


@pytest.mark.parametrize("event", SAMPLES, ids=_name)
def test_nothing_follows_the_end(event: ev.Event) -> None:
    for state in (STATES[Phase.ENDED], app(live(), phase=Phase.ENDED, attempts=[deploy(1)])):
        assert transitions.transition(state, event) == (state, ())


@pytest.mark.parametrize(
    ("event", "phase"),
    [
        pytest.param(event, phase, id=f"{type(event).__name__}_while_{phase.value}")
        for event in SAMPLES
        for phase in Phase
        if (type(event), phase) in DOES_NOT_HAPPEN
    ],
)
def test_even_what_does_not_happen_breaks_nothing(event: ev.Event, phase: Phase) -> None:
    transitions.transition(STATES[phase], event)
