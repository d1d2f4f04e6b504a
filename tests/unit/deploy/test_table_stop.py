"""The transition table: the stop, with and without a live version that keeps running."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.state import Phase
from tests.unit.deploy.table import (
    ALWAYS,
    Case,
    app,
    candidate,
    command,
    deploy,
    draining,
    each,
    kept,
    live,
    reinstating,
    restart,
    standby,
    stopping,
    waiting,
    wanted,
)

STOPS = "hanoverd is stopping"
KEEP = replace(ALWAYS, keep=True)
STOP, KILL = ev.StopRequested(), ev.KillRequested()


def retire(number: int) -> ef.Retire:
    return ef.Retire(number, drain=False, keep=False)


OF_ALL = [
    Case(
        "a stop that ends the app stops the live version whatever the policy says",
        app(live(), policy=KEEP),
        ev.StopRequested(ends_app=True),
        {"phase": "stopping", "1.role": "stopping", "1.share": 0},
        (ef.RemoveRoutes(1), retire(1)),
    ),
    Case(
        "a stop cancels the adoption",
        app(phase=Phase.STARTING, is_adopting=True),
        STOP,
        {"phase": "stopping"},
        (ef.CancelAdoption(),),
    ),
    Case(
        "a stop between two attempts to adopt looks for what is left",
        app(phase=Phase.STARTING),
        STOP,
        {"phase": "sweeping"},
        (ef.Sweep(),),
    ),
    Case("a stop looks for what is left where nothing runs", app(kept(1)), STOP, {"phase": "sweeping"}, (ef.Sweep(),)),
    Case(
        "a stop removes the routes of the live version, and stops it",
        app(live()),
        STOP,
        {"phase": "stopping", "1.role": "stopping", "1.share": 0},
        (ef.RemoveRoutes(1), retire(1)),
    ),
    Case(
        "a stop does not wait for connections",
        app(draining(1)),
        STOP,
        {"phase": "stopping", "1.role": "stopping"},
        (ef.EndDrain(1),),
    ),
    Case(
        "a stop ends a reinstatement, and stops that version",
        app(reinstating(1)),
        STOP,
        {"phase": "stopping", "1.role": "stopping"},
        (ef.CancelReinstatement(1), retire(1)),
    ),
    Case(
        "a stop removes a version that stood by",
        app(standby(1), candidate(2), attempts=[deploy()], standby_for=2),
        STOP,
        {"phase": "stopping", "1.role": "stopping", "deploy.cancelled": STOPS},
        (ef.CancelAttempt(2, STOPS), retire(1)),
    ),
    Case(
        "a stop cancels handovers, and waits for their ends",
        app(candidate(2), candidate(3), attempts=[deploy(), restart()], restarts=wanted()),
        STOP,
        {"phase": "stopping", "deploy.cancelled": STOPS, "restart.cancelled": STOPS},
        (ef.CancelAttempt(2, STOPS), ef.CancelAttempt(3, STOPS)),
    ),
    Case(
        "a stop does not wait for the engine",
        app(attempts=[deploy(None, losses=1)], is_engine_lost=True),
        STOP,
        {"phase": "sweeping", "deploy": None, "is_engine_lost": False},
        (ef.StopWaitingForEngine(), ef.ReportCancelled(deploy(None, losses=1, cancelled=STOPS)), ef.Sweep()),
    ),
    Case(
        "a stop drops the request that waits",
        app(candidate(2), attempts=[deploy(cancelled="newer")], requests=waiting(command().reason, command=command())),
        STOP,
        {"phase": "stopping", "requests.reasons": (), "requests.command": None},
        (ef.ReportDropped(command(), STOPS),),
    ),
    Case("a second stop changes nothing", app(stopping(1), phase=Phase.STOPPING), STOP, {}),
    Case("a second stop changes nothing while removing what is left", app(phase=Phase.SWEEPING), STOP, {}),
]

THAT_KEEPS = [
    Case(
        "a stop that keeps the live version leaves it as it is",
        app(live(), policy=KEEP),
        STOP,
        {"phase": "ended", "-1": None},
        (ef.Detach(1, serves=True), ef.Finish()),
    ),
    Case(
        "a stop that keeps the live version leaves draining versions",
        app(draining(1), live(2), kept(3), policy=KEEP),
        STOP,
        {"phase": "ended", "-1": None, "-2": None},
        (ef.Detach(1, serves=False), ef.Detach(2, serves=True), ef.Finish()),
    ),
    Case(
        "a stop that keeps the live version cancels the adoption",
        app(phase=Phase.STARTING, is_adopting=True, policy=KEEP),
        STOP,
        {"phase": "detaching"},
        (ef.CancelAdoption(),),
    ),
    Case(
        "a stop that keeps the live version cancels handovers, and waits for their ends",
        app(live(), candidate(2), attempts=[deploy()], policy=KEEP),
        STOP,
        {"phase": "detaching", "deploy.cancelled": STOPS},
        (ef.CancelAttempt(2, STOPS),),
    ),
    Case(
        "a stop that keeps the live version waits for what is being stopped",
        app(live(), stopping(2), policy=KEEP),
        STOP,
        {"phase": "detaching"},
    ),
    Case(
        "a stop that keeps the live version waits for one that returns",
        app(reinstating(1), policy=KEEP),
        STOP,
        {"phase": "detaching"},
    ),
    Case(
        "a stop that keeps the live version tries at once what was to be tried later",
        app(reinstating(1), policy=KEEP, is_reinstatement_delayed=True, failed_reinstatements=7),
        STOP,
        {"phase": "detaching", "is_reinstatement_delayed": False, "failed_reinstatements": 0},
        (ef.CancelTimer(ef.TimerKind.REINSTATE, 1), ef.Reinstate(1)),
    ),
    Case(
        "a stop that keeps the live version does not wait for the engine",
        app(live(), attempts=[restart(None, losses=1)], is_engine_lost=True, restarts=wanted(), policy=KEEP),
        STOP,
        {"phase": "ended", "-1": None, "restart": None, "is_engine_lost": False},
        (
            ef.StopWaitingForEngine(),
            ef.ReportCancelled(restart(None, losses=1, cancelled=STOPS)),
            ef.Detach(1, serves=True),
            ef.Finish(),
        ),
    ),
    Case(
        "a second stop that keeps the live version changes nothing",
        app(live(), stopping(9), phase=Phase.DETACHING, policy=KEEP),
        STOP,
        {},
    ),
]

KILLS = [
    Case(
        "a kill during a stop kills what is being stopped",
        app(stopping(1), phase=Phase.STOPPING),
        KILL,
        {},
        (ef.Kill(),),
    ),
    Case(
        "a kill while removing what is left kills what is being stopped",
        app(phase=Phase.SWEEPING),
        KILL,
        {},
        (ef.Kill(),),
    ),
    Case(
        "a kill gives up on a version that is being reinstated",
        app(reinstating(1), stopping(9), phase=Phase.DETACHING, policy=KEEP),
        KILL,
        {"failed_reinstatements": 6, "1.role": "standby"},
        (ef.CancelReinstatement(1), ef.Kill()),
    ),
    Case(
        "a kill leaves the live version that is kept",
        app(live(), stopping(9), phase=Phase.DETACHING, policy=KEEP),
        KILL,
        {"failed_reinstatements": 6},
        (ef.Kill(),),
    ),
    Case(
        "a kill without a stop changes nothing about the live version",
        app(live()),
        KILL,
        {},
        (ef.Kill(),),
    ),
    Case(
        "a kill at the start changes nothing",
        app(phase=Phase.STARTING, is_adopting=True),
        KILL,
        {},
        (ef.Kill(),),
    ),
]

END = [
    Case(
        "the stop is complete after the removal of what is left",
        app(kept(1), phase=Phase.SWEEPING),
        ev.Swept(),
        {"phase": "ended", "-1": None},
        (ef.Finish(),),
    ),
]

CASES = [*OF_ALL, *THAT_KEEPS, *KILLS, *END]


@each(CASES)
def test_stops(case: Case) -> None:
    case.check()
