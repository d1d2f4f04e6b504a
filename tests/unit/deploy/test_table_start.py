"""The transition table: what an earlier run has left is taken over."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import Held, Requests
from hanoverd.deploy.state import Phase
from tests.unit.deploy.simulation import recipe
from tests.unit.deploy.table import LIVE_ORDER, NUMBER, Case, app, each, live, proved, start, waiting

STARTING = app(phase=Phase.STARTING)
ADOPTING = replace(STARTING, is_adopting=True)
DETACHING = app(phase=Phase.DETACHING, is_adopting=True)
STOPPING = app(phase=Phase.STOPPING, is_adopting=True)

FOUND = ev.Adopted(1, recipe("v1"), is_ready=True, next_number=4)

CASES = [
    Case(
        "the start adopts the versions that an earlier run left",
        STARTING,
        ev.Started(),
        {"is_adopting": True},
        (ef.Adopt(),),
    ),
    Case("a second start changes nothing while the first is in progress", ADOPTING, ev.Started(), {}),
    Case(
        "what serves is live at once",
        replace(ADOPTING, next_number=0),
        FOUND,
        {"is_adopting": False, "phase": "running", "+1": "live", "next_number": 4, "next_live_order": LIVE_ORDER + 1},
        (proved(1), ef.Prune()),
    ),
    Case(
        "what was left drains, is removed or is kept",
        ADOPTING,
        ev.Adopted(draining=((1, True), (2, False)), unusable=(3,), kept=(4,), next_number=5),
        {
            "is_adopting": False,
            "phase": "running",
            "+1": "draining",
            "+2": "draining",
            "+3": "stopping",
            "+4": "kept",
            "next_live_order": LIVE_ORDER + 1,
        },
        (ef.Retire(1, drain=True, keep=True), ef.Retire(2, drain=True, keep=False), ef.Remove(3)),
    ),
    Case(
        "the request that waited starts when the adoption is complete",
        replace(ADOPTING, requests=waiting("push")),
        ev.Adopted(),
        {
            "is_adopting": False,
            "phase": "running",
            "requests.reasons": (),
            "+20": "candidate",
            "deploy": NUMBER,
            "next_number": NUMBER + 1,
            "next_attempt": 31,
        },
        (start(),),
    ),
    Case(
        "a pause does not keep an app down: what was held starts where nothing serves",
        replace(ADOPTING, requests=Requests(is_paused=True, held=(Held("push", None),))),
        ev.Adopted(),
        {
            "is_adopting": False,
            "phase": "running",
            "requests.held": (),
            "+20": "candidate",
            "deploy": NUMBER,
            "next_number": NUMBER + 1,
            "next_attempt": 31,
        },
        (start(),),
    ),
    Case(
        "a pause continues where a version serves",
        replace(ADOPTING, requests=Requests(is_paused=True, held=(Held("push", None),))),
        FOUND,
        {"is_adopting": False, "phase": "running", "+1": "live", "next_live_order": LIVE_ORDER + 1},
        (proved(1), ef.Prune()),
    ),
    Case(
        "a version that serves is left, when the stop came too late for the adoption",
        DETACHING,
        FOUND,
        {"is_adopting": False, "phase": "ended", "next_live_order": LIVE_ORDER + 1},
        (proved(1), ef.Detach(1, serves=True), ef.Finish()),
    ),
    Case(
        "a version that serves is stopped, when the stop came too late for the adoption",
        STOPPING,
        FOUND,
        {"is_adopting": False, "+1": "stopping", "next_live_order": LIVE_ORDER + 1},
        (proved(1), ef.RemoveRoutes(1), ef.Retire(1, drain=False, keep=False)),
    ),
    Case(
        "a version that drains is stopped at once, when the stop came too late for the adoption",
        STOPPING,
        ev.Adopted(draining=((1, True),)),
        {"is_adopting": False, "+1": "stopping", "next_live_order": LIVE_ORDER + 1},
        (ef.Retire(1, drain=True, keep=True), ef.EndDrain(1)),
    ),
    Case(
        "an adoption that failed is tried again later, each time after a longer delay",
        replace(ADOPTING, failed_adoptions=3),
        ev.AdoptionFailed("no iptables"),
        {"is_adopting": False, "failed_adoptions": 4},
        (ef.ReportAdoptionFailed("no iptables", 0.8), ef.StartTimer(ef.TimerKind.ADOPT, 0.8)),
    ),
    Case(
        "an adoption that failed does not hold up a stop that leaves the live version",
        DETACHING,
        ev.AdoptionFailed("no iptables"),
        {"is_adopting": False, "phase": "ended"},
        (ef.Finish(),),
    ),
    Case(
        "an adoption that failed does not hold up a stop",
        STOPPING,
        ev.AdoptionFailed("no iptables"),
        {"is_adopting": False, "phase": "sweeping"},
        (ef.Sweep(),),
    ),
    Case(
        "a cancelled adoption ends a stop that leaves the live version",
        DETACHING,
        ev.AdoptionCancelled(),
        {"is_adopting": False, "phase": "ended"},
        (ef.Finish(),),
    ),
    Case(
        "a cancelled adoption lets a stop continue",
        STOPPING,
        ev.AdoptionCancelled(),
        {"is_adopting": False, "phase": "sweeping"},
        (ef.Sweep(),),
    ),
    Case(
        "the adoption is tried again when its timer has run out",
        STARTING,
        ev.TimerExpired(ef.TimerKind.ADOPT),
        {"is_adopting": True},
        (ef.Adopt(),),
    ),
    Case("the adoption is not started twice", ADOPTING, ev.TimerExpired(ef.TimerKind.ADOPT), {}),
    Case("a complete adoption is not tried again", app(live()), ev.TimerExpired(ef.TimerKind.ADOPT), {}),
]


@each(CASES)
def test_what_was_left_is_taken_over(case: Case) -> None:
    case.check()
