"""What can be read off the state of an app."""

from __future__ import annotations

import pytest

from hanoverd.deploy.state import Phase, Role, State, Version
from tests.unit.deploy.table import app, candidate, deploy, draining, in_role, kept, live, reinstating, restart, standby

DEPLOYING = app(candidate(2), attempts=[deploy()])


@pytest.mark.parametrize(
    ("says", "state", "number", "may"),
    [
        ("a candidate that is ready goes live", DEPLOYING, 2, True),
        ("a restart that is ready goes live", app(candidate(3), attempts=[restart()]), 3, True),
        ("a candidate that was cancelled does not", app(candidate(2), attempts=[deploy(cancelled="newer")]), 2, False),
        ("a candidate that has exited does not", app(candidate(2, exit_code=0), attempts=[deploy()]), 2, False),
        ("a candidate whose handover is over does not", app(candidate(2)), 2, False),
        ("a version that is gone does not", app(attempts=[deploy()]), 2, False),
        ("a version that returns goes live", app(reinstating(1)), 1, True),
        ("a version that returns goes live while leaving", app(reinstating(1), phase=Phase.DETACHING), 1, True),
        ("a version that returns does not during a stop", app(reinstating(1), phase=Phase.STOPPING), 1, False),
        ("a version that returns and has exited does not", app(reinstating(1, exit_code=1)), 1, False),
        *(
            (f"a {role.value} version does not", app(in_role(1, role), attempts=[deploy(1)]), 1, False)
            for role in Role
            if role not in (Role.CANDIDATE, Role.REINSTATING)
        ),
    ],
)
def test_who_may_go_live(says: str, state: State, number: int, *, may: bool) -> None:
    assert state.may_go_live(number) is may, says


@pytest.mark.parametrize(
    ("version", "may"),
    [
        (draining(1), True),
        (draining(1, is_verified=False), False),
        (draining(1, is_rejected=True), False),
        (draining(1, exit_code=0), False),
        (standby(1), True),
        # It was stopped, and is checked when it is started again.
        (standby(1, exit_code=143), True),
        (live(1), False),
        (candidate(1), False),
        (kept(1), False),
    ],
)
def test_who_may_be_live_again_without_a_new_container(version: Version, *, may: bool) -> None:
    assert version.can_be_reinstated is may


def test_the_newest_live_version_is_the_one_that_went_live_last() -> None:
    state = app(live(1, live_order=5, share=40), live(2, live_order=3, share=60))
    assert state.newest_live == state.versions[1]
    assert state.live == {1: 40, 2: 60}
    assert app().newest_live is None


def test_the_handover_of_a_version_is_known() -> None:
    state = app(candidate(2), candidate(3), attempts=[deploy(), restart()])
    assert (state.attempt_of(2), state.attempt_of(3), state.attempt_of(4)) == (deploy(), restart(), None)
    assert state.attempts == (deploy(), restart())


@pytest.mark.parametrize("phase", Phase)
def test_a_stop_is_under_way_from_its_request_on(phase: Phase) -> None:
    assert app(phase=phase).is_stopping is (phase not in (Phase.STARTING, Phase.RUNNING))
