"""The transition table: what comes of a handover."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import Requests
from hanoverd.deploy.state import Kind, Phase, Policy, Restarts
from hanoverd.spec.restart import RestartPolicy
from tests.unit.deploy.simulation import recipe
from tests.unit.deploy.table import (
    ALWAYS,
    NUMBER,
    STARTED,
    Case,
    app,
    candidate,
    deploy,
    each,
    first_live,
    gone_live,
    live,
    proved,
    reinstating,
    restart,
    standby,
    start,
    stopping,
    waiting,
    wanted,
)

STOPS = "hanoverd is stopping"
RESTART_TIMER = ef.CancelTimer(ef.TimerKind.RESTART)
DEPLOYING = app(live(), candidate(2), attempts=[deploy()])
ROOMLESS = Policy(RestartPolicy("always"), overlap=False)
DETACHING = app(live(), candidate(2), stopping(9), phase=Phase.DETACHING, attempts=[deploy(cancelled=STOPS)])
STOPPING = app(candidate(2), stopping(9), phase=Phase.STOPPING, attempts=[deploy(cancelled=STOPS)])


def flipped(number: int, *replaced: int) -> ev.Flipped:
    return ev.Flipped(number, recipe(f"v{number}"), frozenset(replaced))


def retire(number: int, *, drain: bool) -> ef.Retire:
    return ef.Retire(number, drain=drain, keep=True)


ROOM = [
    Case(
        "the live version stands by when room was made for a candidate",
        DEPLOYING,
        ev.LiveStopped(2),
        {"1.role": "standby", "1.share": 0, "standby_for": 2},
    ),
    Case(
        "the live version stands by although a stop that leaves it has begun",
        DETACHING,
        ev.LiveStopped(2),
        {"1.role": "standby", "1.share": 0, "standby_for": 2},
    ),
    Case("no version stands by during a stop", STOPPING, ev.LiveStopped(2), {"standby_for": 2}),
]

FLIPS = [
    Case(
        "a candidate goes live, and the one who replaced a version retires it",
        DEPLOYING,
        flipped(2, 1),
        first_live(2, {"1.role": "draining", "1.share": 0, "deploy": None}),
        (proved(2), RESTART_TIMER, ef.ReportLive(deploy()), ef.Prune()),
    ),
    Case(
        "a live version without routes, which the flip has not replaced, is retired",
        DEPLOYING,
        flipped(2),
        first_live(2, {"1.role": "draining", "1.share": 0, "deploy": None}),
        (retire(1, drain=True), proved(2), RESTART_TIMER, ef.ReportLive(deploy()), ef.Prune()),
    ),
    Case(
        "a version has to settle first, where the user wants it",
        app(candidate(2), attempts=[deploy()], policy=replace(ALWAYS, settle=30.0)),
        flipped(2),
        {
            **gone_live(2, deploy=None),
            "2.recipe": recipe("v2"),
            "2.is_verified": True,
        },
        (
            proved(2),
            ef.StartTimer(ef.TimerKind.SETTLED, 30.0, 2),
            RESTART_TIMER,
            ef.ReportLive(deploy()),
            ef.Prune(),
        ),
    ),
    Case(
        "a version that stood by for this candidate is stopped by its handover",
        app(standby(1), candidate(2), attempts=[deploy()], standby_for=2, policy=ROOMLESS),
        flipped(2),
        first_live(2, {"1.role": "stopping", "deploy": None, "standby_for": None}),
        (proved(2), RESTART_TIMER, ef.ReportLive(deploy()), ef.Prune()),
    ),
    Case(
        "a version that stood by for another candidate, which has failed and is being removed, is retired",
        app(
            standby(1),
            candidate(2),
            candidate(3),
            attempts=[deploy(), restart()],
            standby_for=3,
            policy=ROOMLESS,
            restarts=wanted(),
        ),
        flipped(2),
        first_live(
            2,
            {
                "1.role": "stopping",
                "deploy": None,
                "standby_for": None,
                "restart.cancelled": "another version is live",
                "restarts.wanted": None,
            },
        ),
        (
            retire(1, drain=False),
            proved(2),
            RESTART_TIMER,
            ef.ReportLive(deploy()),
            ef.CancelAttempt(3, "another version is live"),
            ef.Prune(),
        ),
    ),
    Case(
        "an earlier version that was to be live again drains again",
        app(reinstating(1), candidate(2), attempts=[deploy()], is_reinstatement_delayed=True, failed_reinstatements=2),
        flipped(2),
        first_live(
            2, {"1.role": "draining", "deploy": None, "is_reinstatement_delayed": False, "failed_reinstatements": 0}
        ),
        (
            ef.CancelReinstatement(1),
            retire(1, drain=True),
            proved(2),
            RESTART_TIMER,
            ef.ReportLive(deploy()),
            ef.Prune(),
        ),
    ),
    Case(
        "a deploy that goes live cancels the restart, and keeps the count",
        app(candidate(2), candidate(3), attempts=[deploy(), restart()], restarts=wanted(4)),
        flipped(2),
        first_live(
            2,
            {"deploy": None, "restart.cancelled": "another version is live", "restarts.wanted": None},
        ),
        (
            proved(2),
            RESTART_TIMER,
            ef.ReportLive(deploy()),
            ef.CancelAttempt(3, "another version is live"),
            ef.Prune(),
        ),
    ),
    Case(
        "a restart that goes live lets a deploy go on",
        app(candidate(2), candidate(3), attempts=[deploy(), restart()], restarts=wanted(1)),
        flipped(3),
        first_live(3, {"restart": None, "restarts.wanted": None}),
        (proved(3), RESTART_TIMER, ef.ReportLive(restart()), ef.Prune()),
    ),
    Case(
        "a deploy that goes live is followed by the request that waits",
        app(candidate(2), attempts=[deploy(cancelled="replaced by a newer request")], requests=waiting("push")),
        flipped(2),
        {**first_live(2), **STARTED, "requests.reasons": ()},
        (proved(2), RESTART_TIMER, ef.ReportLive(deploy(cancelled="replaced by a newer request")), ef.Prune(), start()),
    ),
    Case(
        "an earlier version that is live again has settled",
        app(live(2), reinstating(1), policy=replace(ALWAYS, settle=30.0)),
        flipped(1, 2),
        gone_live(1, **{"2.role": "draining", "2.share": 0}),
        (proved(1), ef.Prune()),
    ),
    Case(
        "a version that exited during its flip is restarted",
        app(candidate(2, exit_code=3), attempts=[deploy()]),
        flipped(2),
        {
            **first_live(2, stays=False),
            "deploy": None,
            "restarts.wanted": recipe("v2"),
            "restarts.count": 1,
        },
        (
            proved(2),
            RESTART_TIMER,
            ef.ReportLive(deploy()),
            ef.Prune(),
            ef.RemoveRoutes(2),
            ef.StartTimer(ef.TimerKind.RESTART, 0.1),
            ef.CleanUpDead(2, 3, None, 0.1),
        ),
    ),
    Case(
        "a version that goes live during a stop that leaves it is left later",
        DETACHING,
        flipped(2, 1),
        first_live(2, {"1.role": "draining", "1.share": 0, "deploy": None}),
        (proved(2), RESTART_TIMER, ef.ReportLive(deploy(cancelled=STOPS)), ef.Prune()),
    ),
    Case(
        "a version that goes live during a stop is stopped",
        STOPPING,
        flipped(2),
        first_live(2, {"deploy": None}, stays=False),
        (
            proved(2),
            RESTART_TIMER,
            ef.ReportLive(deploy(cancelled=STOPS)),
            ef.Prune(),
            ef.RemoveRoutes(2),
            ef.Retire(2, drain=False, keep=False),
        ),
    ),
    Case(
        "a version that a stop stops during its flip has its routes removed",
        app(stopping(1), phase=Phase.STOPPING),
        flipped(1),
        {},
        (ef.RemoveRoutes(1),),
    ),
    Case(
        "a version that a stop has removed during its flip has its routes removed",
        STOPPING,
        flipped(5),
        {},
        (ef.RemoveRoutes(5),),
    ),
]
FAILURES = [
    Case(
        "a failed deploy changes nothing about the live version",
        DEPLOYING,
        ev.AttemptFailed(2, "it exited"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportFailed(deploy(), 2, "it exited", 1, None), ef.Prune()),
    ),
    Case(
        "a failed deploy whose container is gone already leaves nothing",
        app(attempts=[deploy()]),
        ev.AttemptFailed(2, "it exited"),
        {"deploy": None},
        (ef.ReportFailed(deploy(), 2, "it exited", None, None), ef.Prune()),
    ),
    Case(
        "a failed deploy that was cancelled is reported as cancelled",
        app(live(), candidate(2), attempts=[deploy(cancelled="as asked")]),
        ev.AttemptFailed(2, "it exited"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a failed candidate gives the room back: the version that stood by returns",
        app(standby(1), candidate(2), attempts=[deploy()], standby_for=2, policy=ROOMLESS),
        ev.AttemptFailed(2, "it exited"),
        {"2.role": "stopping", "deploy": None, "standby_for": None, "1.role": "reinstating"},
        (ef.ReportFailed(deploy(), 2, "it exited", None, None), ef.Prune(), ef.Reinstate(1)),
    ),
    Case(
        "a failed restart is tried again after a longer delay",
        app(candidate(3), attempts=[restart()], restarts=wanted(2)),
        ev.AttemptFailed(3, "it exited"),
        {"3.role": "stopping", "restart": None, "restarts.count": 3},
        (ef.StartTimer(ef.TimerKind.RESTART, 0.4), ef.ReportFailed(restart(), 3, "it exited", None, 0.4), ef.Prune()),
    ),
    Case(
        "a failed restart is the last one where the policy allows no more",
        app(
            candidate(3),
            attempts=[restart()],
            restarts=wanted(2),
            policy=Policy(RestartPolicy("on-failure", 2)),
        ),
        ev.AttemptFailed(3, "it exited"),
        {"3.role": "stopping", "restart": None, "restarts.wanted": None},
        (ef.ReportFailed(restart(), 3, "it exited", None, None), ef.Prune()),
    ),
    Case(
        "a failed restart is not tried again when another version has gone live",
        app(live(2), candidate(3), attempts=[restart(cancelled="another version is live")], restarts=Restarts(2)),
        ev.AttemptFailed(3, "it exited"),
        {"3.role": "stopping", "restart": None},
        (ef.ReportCancelled(restart(cancelled="another version is live")), ef.Prune()),
    ),
    Case(
        "a failed candidate lets a stop that leaves the live version continue",
        DETACHING,
        ev.AttemptFailed(2, "it exited"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
    Case(
        "a failed candidate lets a stop continue",
        STOPPING,
        ev.AttemptFailed(2, "it exited"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
]

CANCELS = [
    Case(
        "a cancelled deploy is reported",
        app(live(), candidate(2), attempts=[deploy(cancelled="as asked")]),
        ev.AttemptCancelled(2),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a cancelled deploy has used its number though it has no container",
        app(live(), attempts=[deploy(NUMBER - 1, cancelled="as asked")]),
        ev.AttemptCancelled(NUMBER - 1),
        {"deploy": None},
        (ef.ReportCancelled(deploy(NUMBER - 1, cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a cancelled deploy has used its number while its container is there",
        app(live(), candidate(NUMBER - 1), attempts=[deploy(NUMBER - 1, cancelled="as asked")]),
        ev.AttemptCancelled(NUMBER - 1),
        {"19.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(NUMBER - 1, cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a cancelled deploy keeps its number where a later version has one",
        app(live(), attempts=[deploy(cancelled="as asked")]),
        ev.AttemptCancelled(2),
        {"deploy": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a cancelled deploy is followed by the request that cancelled it",
        app(live(), candidate(2), attempts=[deploy(cancelled="newer")], requests=waiting("push")),
        ev.AttemptCancelled(2),
        {**STARTED, "2.role": "stopping", "requests.reasons": ()},
        (ef.ReportCancelled(deploy(cancelled="newer")), ef.Prune(), start()),
    ),
    Case(
        "a cancelled deploy is followed by the commit that was found meanwhile",
        app(
            live(),
            candidate(2),
            attempts=[deploy(cancelled="as asked")],
            requests=Requests(missed="c2", obtained="c2"),
        ),
        ev.AttemptCancelled(2),
        {"2.role": "stopping", "deploy": None, "requests.missed": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a cancelled restart is tried again as long as it is wanted",
        app(candidate(3), attempts=[restart(cancelled="as asked")], restarts=wanted(1)),
        ev.AttemptCancelled(3),
        {"3.role": "stopping", "restart": None, "restarts.count": 2},
        (
            ef.ReportCancelled(restart(cancelled="as asked")),
            ef.Prune(),
            ef.StartTimer(ef.TimerKind.RESTART, 0.2),
        ),
    ),
    Case(
        "a cancelled candidate lets a stop that leaves the live version continue",
        DETACHING,
        ev.AttemptCancelled(2),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
    Case(
        "a cancelled candidate lets a stop continue",
        STOPPING,
        ev.AttemptCancelled(2),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
]

NAMES = [
    Case(
        "a name that another container has is skipped",
        DEPLOYING,
        ev.NameTaken(2, NUMBER + 3),
        {"-2": None, "+23": "candidate", "deploy.number": NUMBER + 3, "next_number": NUMBER + 4},
        (ef.StartAttempt(deploy(NUMBER + 3)),),
    ),
    Case(
        "a number that is free and was used by another version is not used again",
        DEPLOYING,
        ev.NameTaken(2, 3),
        {"-2": None, "+20": "candidate", "deploy.number": NUMBER, "next_number": NUMBER + 1},
        (ef.StartAttempt(deploy(NUMBER)),),
    ),
    Case(
        "a handover whose name is taken waits for an engine that another handover has lost",
        app(candidate(3), attempts=[deploy(None, losses=1), restart()], is_engine_lost=True, restarts=wanted()),
        ev.NameTaken(3, NUMBER + 3),
        {"-3": None, "restart.number": None, "next_number": NUMBER + 3},
    ),
    Case(
        "a cancelled handover does not look for another name",
        app(live(), candidate(2), attempts=[deploy(cancelled="as asked")]),
        ev.NameTaken(2, NUMBER + 3),
        {"-2": None, "deploy": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a name that is taken lets a stop that leaves the live version continue",
        DETACHING,
        ev.NameTaken(2, NUMBER + 3),
        {"-2": None, "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
    Case(
        "a name that is taken lets a stop continue",
        STOPPING,
        ev.NameTaken(2, NUMBER + 3),
        {"-2": None, "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
]

UNCHANGED = [
    Case(
        "a deploy that would change nothing is over, and the live version stays",
        DEPLOYING,
        ev.Unchanged(2, 1),
        {"-2": None, "deploy": None},
        (ef.ReportUnchanged(deploy(), 1),),
    ),
    *(
        Case(
            f"a deploy that would have changed nothing starts again where {why}",
            state,
            ev.Unchanged(2, 1),
            {"-2": None, "+20": "candidate", "deploy.number": NUMBER, "next_number": NUMBER + 1},
            (ef.StartAttempt(deploy(NUMBER)),),
        )
        for why, state in (
            ("the live version has exited", app(candidate(2), attempts=[deploy()], restarts=wanted())),
            ("another version is live", app(live(5), candidate(2), attempts=[deploy()])),
            ("the live version was adopted unready", app(live(is_verified=False), candidate(2), attempts=[deploy()])),
            ("the live version is being restarted", app(live(), candidate(2), attempts=[deploy()], restarts=wanted())),
            (
                "an earlier version is about to replace the live one",
                app(live(is_rejected=True), reinstating(4), candidate(2), attempts=[deploy()]),
            ),
        )
    ),
    Case(
        "a deploy that would have changed nothing waits for an engine that another handover has lost",
        app(live(5), candidate(2), attempts=[deploy(), restart(None, losses=1)], is_engine_lost=True),
        ev.Unchanged(2, 1),
        {"-2": None, "deploy.number": None},
    ),
    Case(
        "a deploy that was cancelled is not reported as unchanged",
        app(live(), candidate(2), attempts=[deploy(cancelled="as asked")]),
        ev.Unchanged(2, 1),
        {"-2": None, "deploy": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    *(
        Case(
            f"a deploy that would change nothing lets a stop {which} continue",
            state,
            ev.Unchanged(2, 1),
            {"-2": None, "deploy": None},
            (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
        )
        for which, state in (("that leaves the live version", DETACHING), ("of all versions", STOPPING))
    ),
]

ENGINE = [
    Case(
        "a deploy that loses the engine waits for it",
        DEPLOYING,
        ev.EngineLost(2, "lost"),
        {"2.role": "stopping", "deploy.number": None, "deploy.losses": 1, "is_engine_lost": True},
        (ef.ReportEngineLost(deploy(None, losses=1), "lost"), ef.WaitForEngine()),
    ),
    Case(
        "a second handover that loses the engine waits with the first",
        app(candidate(3), attempts=[deploy(None, losses=1), restart()], is_engine_lost=True, restarts=wanted()),
        ev.EngineLost(3, "lost"),
        {"3.role": "stopping", "restart.number": None, "restart.losses": 1},
        (ef.ReportEngineLost(restart(None, losses=1), "lost"),),
    ),
    Case(
        "a handover that loses the engine for the third time has failed",
        app(live(), candidate(2), attempts=[deploy(losses=2)]),
        ev.EngineLost(2, "lost"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportFailed(deploy(losses=2), 2, "lost", 1, None), ef.Prune()),
    ),
    Case(
        "a cancelled handover that loses the engine does not wait for it",
        app(live(), candidate(2), attempts=[deploy(cancelled="as asked")]),
        ev.EngineLost(2, "lost"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled="as asked")), ef.Prune()),
    ),
    Case(
        "a lost engine lets a stop that leaves the live version continue",
        DETACHING,
        ev.EngineLost(2, "lost"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
    Case(
        "a lost engine lets a stop continue",
        STOPPING,
        ev.EngineLost(2, "lost"),
        {"2.role": "stopping", "deploy": None},
        (ef.ReportCancelled(deploy(cancelled=STOPS)), ef.Prune()),
    ),
    Case(
        "a handover that waited starts when the engine is back",
        app(live(), attempts=[deploy(None, losses=1)], is_engine_lost=True),
        ev.EngineBack(),
        {"is_engine_lost": False, "deploy.number": NUMBER, "+20": "candidate", "next_number": NUMBER + 1},
        (ef.StartAttempt(deploy(NUMBER, losses=1)),),
    ),
    Case(
        "a request that waited starts when the engine is back",
        app(live(), requests=waiting("push"), is_engine_lost=True),
        ev.EngineBack(),
        {**STARTED, "is_engine_lost": False, "requests.reasons": ()},
        (start(),),
    ),
    Case(
        "a restart that is due starts when the engine is back",
        app(is_engine_lost=True, restarts=wanted(is_due=True)),
        ev.EngineBack(),
        {
            "is_engine_lost": False,
            "restarts.is_due": False,
            "restart": NUMBER,
            "+20": "candidate",
            "next_number": NUMBER + 1,
            "next_attempt": 31,
        },
        (ef.StartAttempt(replace(restart(NUMBER), id=30, kind=Kind.RESTART)),),
    ),
    Case(
        "an engine that is back starts nothing in a stop that leaves the live version", DETACHING, ev.EngineBack(), {}
    ),
    Case("an engine that is back starts nothing in a stop", STOPPING, ev.EngineBack(), {}),
]

CASES = [*ROOM, *FLIPS, *FAILURES, *CANCELS, *UNCHANGED, *NAMES, *ENGINE]


@each(CASES)
def test_handovers(case: Case) -> None:
    case.check()
