"""The transition table: what happens to a version, by its role."""

from __future__ import annotations

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.state import Kind, Phase, Policy, Restarts, Role
from hanoverd.deploy.step import PRUNE_RETRY_DELAY
from hanoverd.spec.restart import RestartPolicy
from tests.unit.deploy.simulation import recipe
from tests.unit.deploy.table import (
    NEVER,
    NUMBER,
    Case,
    app,
    candidate,
    deploy,
    draining,
    each,
    in_role,
    kept,
    live,
    reinstating,
    restart_request,
    standby,
    start,
    stopping,
    wanted,
)

REINSTATE_TIMER, RESTART_TIMER = ef.TimerKind.REINSTATE, ef.TimerKind.RESTART

#: Stops that wait for a version to stop.
DETACHING = app(live(), stopping(9), phase=Phase.DETACHING)
STOPPING = app(stopping(9), phase=Phase.STOPPING)

NOT_RUNNING = {
    Phase.STARTING: app(phase=Phase.STARTING, is_adopting=True),
    Phase.DETACHING: DETACHING,
    Phase.STOPPING: STOPPING,
    Phase.SWEEPING: app(kept(3), phase=Phase.SWEEPING),
}


EXITS = [
    Case(
        "the live version exits: no version is live, and it is started again",
        app(live()),
        ev.Exited(1, 3),
        {
            "1.role": "stopping",
            "1.share": 0,
            "1.exit_code": 3,
            "restarts.count": 1,
            "restarts.wanted": recipe("v1"),
        },
        (ef.RemoveRoutes(1), ef.StartTimer(RESTART_TIMER, 0.1), ef.CleanUpDead(1, 3, None, 0.1)),
    ),
    Case(
        "the live version exits: it is not started again where the policy forbids it",
        app(live(), policy=NEVER),
        ev.Exited(1, 3),
        {"1.role": "stopping", "1.share": 0, "1.exit_code": 3},
        (ef.RemoveRoutes(1), ef.CleanUpDead(1, 3, None, None)),
    ),
    Case(
        "the live version exits: the one that drains serves meanwhile",
        app(draining(1), live(2)),
        ev.Exited(2, 3),
        {
            "2.role": "stopping",
            "2.share": 0,
            "2.exit_code": 3,
            "1.role": "reinstating",
            "restarts.count": 1,
            "restarts.wanted": recipe("v2"),
        },
        (ef.RemoveRoutes(2), ef.StartTimer(RESTART_TIMER, 0.1), ef.CleanUpDead(2, 3, 1, 0.1), ef.Reinstate(1)),
    ),
    Case(
        "a live version exits before it has settled: the one that drains serves in its place",
        app(draining(1), live(2, has_settled=False)),
        ev.Exited(2, 3),
        {"2.role": "stopping", "2.share": 0, "2.exit_code": 3, "1.role": "reinstating"},
        (ef.RemoveRoutes(2), ef.CleanUpDead(2, 3, 1, None), ef.Reinstate(1)),
    ),
    Case(
        "the live version exits while an earlier one is being reinstated, which continues",
        app(reinstating(1), live(2, is_rejected=True, has_settled=False)),
        ev.Exited(2, 3),
        {"2.role": "stopping", "2.share": 0, "2.exit_code": 3},
        (ef.RemoveRoutes(2), ef.CleanUpDead(2, 3, 1, None)),
    ),
    Case(
        "the live version exits during a stop that leaves it: it is not started again",
        DETACHING,
        ev.Exited(1, 3),
        {"1.role": "stopping", "1.share": 0, "1.exit_code": 3},
        (ef.RemoveRoutes(1), ef.CleanUpDead(1, 3, None, None)),
    ),
    *(
        Case(
            f"the exit of a {role.value} version is noted",
            app(live(), in_role(2, role, exit_code=None)),
            ev.Exited(2, 3),
            {"2.exit_code": 3},
        )
        for role in (Role.CANDIDATE, Role.DRAINING, Role.REINSTATING)
    ),
    *(
        Case(
            f"the exit of a {role.value} version is by our own doing",
            app(live(), in_role(2, role)),
            ev.Exited(2, 3),
            {},
        )
        for role in (Role.STANDBY, Role.STOPPING, Role.KEPT)
    ),
    Case("an exit during a stop is by our own doing", STOPPING, ev.Exited(9, 143), {}),
]

UNHEALTHY = [
    Case(
        "an unhealthy version that has settled is replaced by another container of the same",
        app(draining(1), live(2)),
        ev.Unhealthy(2, "refused"),
        {"restarts.count": 1, "restarts.wanted": recipe("v2")},
        (ef.StartTimer(RESTART_TIMER, 0.1), ef.ReportUnhealthy(2, "refused", None, 0.1)),
    ),
    Case(
        "an unhealthy version is reported where the policy forbids a restart",
        app(live(), policy=NEVER),
        ev.Unhealthy(1, "refused"),
        {},
        (ef.ReportUnhealthy(1, "refused", None, None),),
    ),
    Case(
        "an unhealthy version that has not settled is rejected: the one that it replaced takes its place",
        app(draining(1), live(2, has_settled=False)),
        ev.Unhealthy(2, "refused"),
        {"2.is_rejected": True, "1.role": "reinstating"},
        (ef.Reinstate(1), ef.ReportUnhealthy(2, "refused", 1, None)),
    ),
    Case(
        "an unhealthy version that has not settled is restarted where there is no earlier one",
        app(live(has_settled=False)),
        ev.Unhealthy(1, "refused"),
        {"restarts.count": 1, "restarts.wanted": recipe("v1")},
        (ef.StartTimer(RESTART_TIMER, 0.1), ef.ReportUnhealthy(1, "refused", None, 0.1)),
    ),
    Case(
        "an unhealthy version is replaced already when a restart is wanted",
        app(live(), restarts=wanted()),
        ev.Unhealthy(1, "refused"),
        {},
    ),
    Case(
        "an unhealthy version is replaced already when an earlier one returns",
        app(reinstating(1), live(2, is_rejected=True)),
        ev.Unhealthy(2, "refused"),
        {},
    ),
    Case("an unhealthy version is left as it is by a stop that leaves it", DETACHING, ev.Unhealthy(1, "refused"), {}),
    Case("an unhealthy version is stopped already during a stop", STOPPING, ev.Unhealthy(9, "refused"), {}),
]

RETURNS = [
    Case(
        "a version that cannot be made live again is tried again after a longer delay",
        app(reinstating(1), failed_reinstatements=1),
        ev.ReinstatementFailed(1, "iptables"),
        {"failed_reinstatements": 2, "is_reinstatement_delayed": True},
        (ef.ReportReinstatementFailed(1, "iptables", 0.4), ef.StartTimer(REINSTATE_TIMER, 0.4, 1)),
    ),
    Case(
        "a version that is gone cannot be made live again: it is started again",
        app(reinstating(1), policy=NEVER),
        ev.ReinstatementFailed(1, "no such container", is_gone=True),
        {"1.role": "stopping", "restarts.count": 1, "restarts.wanted": recipe("v1")},
        (
            ef.Remove(1),
            ef.StartTimer(RESTART_TIMER, 0.1),
            ef.ReportReinstatementFailed(1, "no such container", 0.1),
        ),
    ),
    Case(
        "a version that exited while it returned is started again only as the policy says",
        app(reinstating(1, exit_code=0), policy=Policy(RestartPolicy("on-failure"))),
        ev.ReinstatementFailed(1, "it exited"),
        {"1.role": "stopping"},
        (ef.Remove(1), ef.ReportReinstatementFailed(1, "it exited", None)),
    ),
    Case(
        "a version that is gone is followed by another that drains",
        app(draining(1), reinstating(2)),
        ev.ReinstatementFailed(2, "no such container", is_gone=True),
        {"2.role": "stopping", "1.role": "reinstating"},
        (ef.Remove(2), ef.ReportReinstatementFailed(2, "no such container", None), ef.Reinstate(1)),
    ),
    Case(
        "a version is tried again a few times during a stop that leaves it",
        app(reinstating(1), phase=Phase.DETACHING, failed_reinstatements=4),
        ev.ReinstatementFailed(1, "iptables"),
        {"failed_reinstatements": 5, "is_reinstatement_delayed": True},
        (ef.ReportReinstatementFailed(1, "iptables", 3.2), ef.StartTimer(REINSTATE_TIMER, 3.2, 1)),
    ),
    Case(
        "a version that could not be made live again often enough is left as it is",
        app(reinstating(1), phase=Phase.DETACHING, failed_reinstatements=5),
        ev.ReinstatementFailed(1, "iptables"),
        {"failed_reinstatements": 6, "phase": "ended", "-1": None},
        (ef.ReportReinstatementFailed(1, "iptables", None), ef.Detach(1, serves=False), ef.Finish()),
    ),
    Case("a version that is stopped need not be made live again", STOPPING, ev.ReinstatementFailed(9, "iptables"), {}),
]

ENDS = [
    Case(
        "a version that has finished its connections is stopped",
        app(live(2), draining(1)),
        ev.DrainEnded(1),
        {"1.role": "stopping"},
    ),
    Case(
        "a version that finishes its connections in a stop that leaves the live one is waited for",
        app(live(2), draining(1), stopping(9), phase=Phase.DETACHING),
        ev.DrainEnded(1),
        {"1.role": "stopping"},
    ),
    Case("a drain that ends during a stop changes nothing", STOPPING, ev.DrainEnded(9), {}),
    Case(
        "a stopped version is kept to roll back to",
        app(live(2), stopping(1)),
        ev.Kept(1),
        {"1.role": "kept"},
        (ef.Prune(),),
    ),
    Case(
        "the last version that was kept completes a stop that leaves the live one",
        DETACHING,
        ev.Kept(9),
        {"9.role": "kept", "-1": None, "phase": "ended"},
        (ef.Prune(), ef.Detach(1, serves=True), ef.Finish()),
    ),
    Case(
        "the last version that was kept is followed by the removal of what is left",
        STOPPING,
        ev.Kept(9),
        {"9.role": "kept", "phase": "sweeping"},
        (ef.Prune(), ef.Sweep()),
    ),
    Case("a stopped version is gone", app(live(2), stopping(1)), ev.Gone(1), {"-1": None}, (ef.Prune(),)),
    *(
        Case(f"a {role.value} version is gone", app(live(), in_role(2, role)), ev.Gone(2), {"-2": None})
        for role in (Role.CANDIDATE, Role.DRAINING, Role.STANDBY, Role.REINSTATING, Role.KEPT)
    ),
    Case("a live version is gone", app(live(1), live(2)), ev.Gone(2), {"-2": None}),
    Case(
        "the container of a deploy is gone before its end is reported",
        app(live(), candidate(2), attempts=[deploy()]),
        ev.Gone(2),
        {"-2": None},
    ),
    Case(
        "the last version that is gone completes a stop that leaves the live one",
        DETACHING,
        ev.Gone(9),
        {"-1": None, "-9": None, "phase": "ended"},
        (ef.Prune(), ef.Detach(1, serves=True), ef.Finish()),
    ),
    Case(
        "the last version that is gone is followed by the removal of what is left",
        STOPPING,
        ev.Gone(9),
        {"-9": None, "phase": "sweeping"},
        (ef.Prune(), ef.Sweep()),
    ),
]

TIMERS = [
    Case(
        "a restart that is due starts",
        app(restarts=wanted(2)),
        ev.TimerExpired(RESTART_TIMER),
        {"restart": NUMBER, "+20": "candidate", "next_number": NUMBER + 1, "next_attempt": 31},
        (start(request=restart_request(), kind=Kind.RESTART),),
    ),
    Case("a restart that is not wanted any more does not start", app(live()), ev.TimerExpired(RESTART_TIMER), {}),
    Case(
        "a restart waits for the engine",
        app(restarts=wanted(2), is_engine_lost=True),
        ev.TimerExpired(RESTART_TIMER),
        {"restarts.is_due": True},
    ),
    Case(
        "a reinstatement whose delay is over is tried again",
        app(reinstating(1), is_reinstatement_delayed=True, failed_reinstatements=2),
        ev.TimerExpired(REINSTATE_TIMER, 1),
        {"is_reinstatement_delayed": False},
        (ef.Reinstate(1),),
    ),
    Case(
        "a version that exited before its next try is removed",
        app(reinstating(1, exit_code=3), is_reinstatement_delayed=True, policy=NEVER),
        ev.TimerExpired(REINSTATE_TIMER, 1),
        {"1.role": "stopping", "is_reinstatement_delayed": False},
        (ef.Remove(1), ef.ReportReinstatementFailed(1, "it exited", None)),
    ),
    Case(
        "a reinstatement that is in progress is not started twice",
        app(reinstating(1)),
        ev.TimerExpired(REINSTATE_TIMER, 1),
        {},
    ),
    Case("a version that does not return is not tried", app(live()), ev.TimerExpired(REINSTATE_TIMER, 1), {}),
    Case(
        "a version that has been live for long enough has its restarts counted from 0",
        app(live(), restarts=Restarts(4)),
        ev.TimerExpired(ef.TimerKind.STABLE, 1),
        {"restarts.count": 0},
    ),
    Case(
        "a version that is not live has proved nothing",
        app(live(2), draining(1), restarts=Restarts(4)),
        ev.TimerExpired(ef.TimerKind.STABLE, 1),
        {},
    ),
    Case(
        "a version that has been live for the settle time has settled",
        app(live(has_settled=False)),
        ev.TimerExpired(ef.TimerKind.SETTLED, 1),
        {"1.has_settled": True},
    ),
    Case(
        "old versions that could not be removed are removed later",
        app(live()),
        ev.PruneFailed(),
        {},
        (ef.StartTimer(ef.TimerKind.PRUNE, PRUNE_RETRY_DELAY),),
    ),
    Case(
        "the removal of old versions is retried",
        app(live()),
        ev.TimerExpired(ef.TimerKind.PRUNE),
        {},
        (ef.Prune(),),
    ),
    *[
        Case(f"the removal of old versions is not retried while {phase.value}", state, ev.PruneFailed(), {})
        for phase, state in NOT_RUNNING.items()
    ],
    *[
        Case(
            f"a retry of the removal of old versions does nothing while {phase.value}",
            state,
            ev.TimerExpired(ef.TimerKind.PRUNE),
            {},
        )
        for phase, state in NOT_RUNNING.items()
    ],
    Case(
        "a version that was replaced does not settle",
        app(live(2), draining(1, has_settled=False)),
        ev.TimerExpired(ef.TimerKind.SETTLED, 1),
        {},
    ),
    Case(
        "a version is tried again when its delay is over in a stop that leaves it",
        app(reinstating(1), phase=Phase.DETACHING, is_reinstatement_delayed=True, failed_reinstatements=2),
        ev.TimerExpired(REINSTATE_TIMER, 1),
        {"is_reinstatement_delayed": False},
        (ef.Reinstate(1),),
    ),
    Case(
        "a restart does not start in a stop that leaves the live version", DETACHING, ev.TimerExpired(RESTART_TIMER), {}
    ),
    Case("a restart does not start in a stop", STOPPING, ev.TimerExpired(RESTART_TIMER), {}),
    Case(
        "a restart does not start while removing what is left",
        app(phase=Phase.SWEEPING),
        ev.TimerExpired(RESTART_TIMER),
        {},
    ),
]

#: What each of these says is about a version in one role only.
ONE_ROLE: list[tuple[ev.Event, Role]] = [
    (ev.ReinstatementFailed(2, "not ready"), Role.REINSTATING),
    (ev.Unhealthy(2, "refused"), Role.LIVE),
    (ev.DrainEnded(2), Role.DRAINING),
    (ev.Kept(2), Role.STOPPING),
]

ROLES = [
    Case(f"{type(event).__name__} changes nothing for a {role.value} version", app(live(), in_role(2, role)), event, {})
    for event, only in ONE_ROLE
    for role in Role
    if role is not only
]

RULES = [
    Case(
        "a version that stands by is live again, once no candidate needs its room",
        app(standby(1), stopping(2)),
        ev.Gone(2),
        {"-2": None, "1.role": "reinstating"},
        (ef.Prune(), ef.Reinstate(1)),
    ),
    Case(
        "the version that was live last is made live again",
        app(draining(1), draining(2), draining(3, is_rejected=True), draining(4, is_verified=False), stopping(9)),
        ev.Gone(9),
        {"-9": None, "2.role": "reinstating"},
        (ef.Prune(), ef.Reinstate(2)),
    ),
]

CASES = [*EXITS, *UNHEALTHY, *RETURNS, *ENDS, *TIMERS, *ROLES, *RULES]


@each(CASES)
def test_versions(case: Case) -> None:
    case.check()
