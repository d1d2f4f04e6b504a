"""The transition table: requests for handovers, and their cancellation."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import NEWER, Held, Request, Requests
from hanoverd.deploy.state import Phase
from hanoverd.deploy.targets import Source
from tests.unit.deploy.table import (
    ALWAYS,
    NUMBER,
    STARTED,
    Case,
    app,
    candidate,
    command,
    deploy,
    each,
    live,
    restart,
    start,
    stopping,
    waiting,
    wanted,
)

STARTING = app(phase=Phase.STARTING, is_adopting=True)
RUNNING = app(live())
PAUSED = replace(RUNNING, requests=Requests(is_paused=True))
DEPLOYING = app(live(), candidate(2), attempts=[deploy()])
BOTH = app(live(), candidate(2), candidate(3), attempts=[deploy(), restart()])
AWAY = app(live(), attempts=[deploy(None, losses=1)], is_engine_lost=True)
#: Stops that wait for a version to stop.
DETACHING = app(live(), stopping(9), phase=Phase.DETACHING)
STOPPING = app(stopping(9), phase=Phase.STOPPING)
SWEEPING = app(phase=Phase.SWEEPING)
STOPS = [
    ("that leaves the live version", DETACHING),
    ("of all versions", STOPPING),
    ("while removing what is left", SWEEPING),
]

PUSH = ev.Triggered("push")
CANCEL = ev.CancelRequested("as asked")
BY_HAND = Request(("as a person asked",), Source(), command())
MISSED = "hookbot was away, and the source has changed: c2"


def always(says: str, event: ev.Event, changed: dict[str, object], effects: tuple[ef.Effect, ...] = ()) -> list[Case]:
    """What follows in the same way at the start and during each stop."""
    states = [("at the start", STARTING), *((f"in a stop {which}", state) for which, state in STOPS)]
    return [Case(f"{says} {when}", state, event, changed, effects) for when, state in states]


TRIGGERS = [
    Case("a trigger waits until the start is complete", STARTING, PUSH, {"requests.reasons": ("push",)}),
    Case("a trigger starts a deploy", RUNNING, PUSH, {**STARTED}, (start(),)),
    Case(
        "a trigger names the revision of its deploy",
        RUNNING,
        ev.Triggered("push", "c1"),
        {**STARTED, "requests.revision": "c1"},
        (start(request=Request(("push",), Source("c1"))),),
    ),
    Case(
        "a trigger cancels the deploy in progress, and waits for its end",
        DEPLOYING,
        PUSH,
        {"requests.reasons": ("push",), "deploy.cancelled": NEWER},
        (ef.CancelAttempt(2, NEWER),),
    ),
    Case(
        "a trigger joins the one that waits, and a deploy is cancelled once",
        app(live(), candidate(2), attempts=[deploy(cancelled=NEWER)], requests=waiting("push 1")),
        PUSH,
        {"requests.reasons": ("push 1", "push")},
    ),
    Case(
        "a trigger leaves a restart alone",
        app(live(), candidate(3), attempts=[restart()]),
        PUSH,
        {**STARTED},
        (start(),),
    ),
    Case(
        "a trigger replaces the deploy that waits for the engine, and waits itself",
        AWAY,
        PUSH,
        {"requests.reasons": ("push",), "deploy": None},
        (ef.ReportCancelled(deploy(None, losses=1, cancelled=NEWER)),),
    ),
    Case(
        "a trigger replaces a command that waits, which is reported",
        app(
            live(),
            candidate(2),
            attempts=[deploy(cancelled=NEWER)],
            requests=waiting(command=command()),
        ),
        PUSH,
        {"requests.reasons": ("push",), "requests.command": None, "requests.is_forced": True},
        (ef.ReportDropped(command(), NEWER),),
    ),
    Case(
        "a trigger is held while paused",
        PAUSED,
        PUSH,
        {"requests.held": (Held("push", None),)},
        (ef.ReportHeld("push"),),
    ),
    *(Case(f"a trigger is ignored in a stop {which}", state, PUSH, {}) for which, state in STOPS),
]

#: An app whose triggers are skipped where they would change nothing.
SKIPPING = replace(ALWAYS, if_changed=True)
SKIPPED = Request(("push",), Source(), if_changed=True)

IF_CHANGED = [
    Case(
        "a trigger is skipped if it would change nothing, as the policy says",
        app(live(), policy=SKIPPING),
        PUSH,
        {**STARTED},
        (start(request=SKIPPED),),
    ),
    Case(
        "a command is carried out in any case, whatever the policy says of triggers",
        app(live(), policy=SKIPPING),
        ev.CommandReceived(command()),
        {**STARTED},
        (start(request=BY_HAND),),
    ),
    Case(
        "a command is skipped if it would change nothing, as it says",
        RUNNING,
        ev.CommandReceived(command(if_changed=True)),
        {**STARTED},
        (start(request=replace(BY_HAND, command=command(if_changed=True), if_changed=True)),),
    ),
    Case(
        "a trigger that replaces a deploy which was to be carried out is carried out",
        app(live(), candidate(2), policy=SKIPPING, attempts=[deploy()]),
        PUSH,
        {"requests.reasons": ("push",), "requests.is_forced": True, "deploy.cancelled": NEWER},
        (ef.CancelAttempt(2, NEWER),),
    ),
    Case(
        "a trigger that replaces a deploy which waits for the engine is carried out",
        replace(AWAY, policy=SKIPPING),
        PUSH,
        {"requests.reasons": ("push",), "requests.is_forced": True, "deploy": None},
        (ef.ReportCancelled(deploy(None, losses=1, cancelled=NEWER)),),
    ),
    Case(
        "a trigger that replaces a deploy which may be skipped may be skipped",
        app(live(), candidate(2), policy=SKIPPING, attempts=[deploy(request=SKIPPED)]),
        PUSH,
        {"requests.reasons": ("push",), "deploy.cancelled": NEWER},
        (ef.CancelAttempt(2, NEWER),),
    ),
    Case(
        "a trigger after a deploy that a person has cancelled may be skipped",
        app(live(), candidate(2), policy=SKIPPING, attempts=[deploy(cancelled="as asked")]),
        PUSH,
        {"requests.reasons": ("push",)},
    ),
]

ORDERS = [
    Case(
        "a command waits until the start is complete",
        STARTING,
        ev.CommandReceived(command()),
        {"requests.command": command()},
    ),
    Case("a command starts a deploy", RUNNING, ev.CommandReceived(command()), {**STARTED}, (start(request=BY_HAND),)),
    Case(
        "a command starts a deploy while paused",
        PAUSED,
        ev.CommandReceived(command()),
        {**STARTED},
        (start(request=BY_HAND),),
    ),
    Case(
        "a command replaces one that waits, which is reported",
        app(
            live(),
            candidate(2),
            attempts=[deploy(cancelled=NEWER)],
            requests=waiting(command=command()),
        ),
        ev.CommandReceived(command(2)),
        {"requests.command": command(2), "requests.is_forced": True},
        (ef.ReportDropped(command(), NEWER),),
    ),
    *(
        Case(
            f"a command is reported as dropped in a stop {which}",
            state,
            ev.CommandReceived(command()),
            {},
            (ef.ReportDropped(command(), "hanoverd is stopping"),),
        )
        for which, state in STOPS
    ),
]

FOUND = [
    *always("a commit that the source has is noted", ev.NewestFound("c2"), {"requests.missed": "c2"}),
    Case(
        "a commit that the source has starts a deploy",
        RUNNING,
        ev.NewestFound("c2"),
        {**STARTED, "requests.revision": "c2"},
        (start(request=Request((MISSED,), Source("c2"))),),
    ),
    Case(
        "a commit that was obtained before starts nothing",
        replace(RUNNING, requests=Requests(obtained="c2")),
        ev.NewestFound("c2"),
        {},
    ),
    Case(
        "a commit waits for the end of the deploy in progress",
        DEPLOYING,
        ev.NewestFound("c2"),
        {"requests.missed": "c2"},
    ),
    Case("a commit is held while paused", PAUSED, ev.NewestFound("c2"), {"requests.held": (Held(MISSED, "c2", True),)}),
]

CANCELS = [
    Case(
        "a cancel drops what waits for the start",
        replace(STARTING, requests=waiting("push", command=command())),
        CANCEL,
        {"requests.reasons": (), "requests.command": None},
        (ef.ReportDropped(command(), "as asked"),),
    ),
    Case(
        "a cancel cancels a deploy and a restart",
        BOTH,
        CANCEL,
        {"deploy.cancelled": "as asked", "restart.cancelled": "as asked"},
        (ef.CancelAttempt(2, "as asked"), ef.CancelAttempt(3, "as asked")),
    ),
    Case(
        "a cancel ends a handover that waits for the engine at once",
        AWAY,
        CANCEL,
        {"deploy": None},
        (ef.ReportCancelled(deploy(None, losses=1, cancelled="as asked")),),
    ),
    Case(
        "a cancel of a restart that waits for the engine has it tried again, as a cancel of any restart",
        app(attempts=[restart(None, losses=1)], is_engine_lost=True, restarts=wanted(1)),
        CANCEL,
        {"restart": None, "restarts.count": 2},
        (ef.ReportCancelled(restart(None, losses=1, cancelled="as asked")), ef.StartTimer(ef.TimerKind.RESTART, 0.2)),
    ),
    Case("a cancel changes nothing where no handover is in progress", RUNNING, CANCEL, {}),
    *(Case(f"a cancel changes nothing in a stop {which}", state, CANCEL, {}) for which, state in STOPS),
]

PAUSES = [
    *always("a pause is saved", ev.Paused(), {"requests.is_paused": True}, (ef.SavePause(is_paused=True),)),
    Case(
        "a pause holds triggers, and lets the deploy in progress continue",
        DEPLOYING,
        ev.Paused(),
        {"requests.is_paused": True},
        (ef.SavePause(is_paused=True),),
    ),
    *always("the end of a pause is saved", ev.Resumed(), {}, (ef.SavePause(is_paused=False),)),
    Case(
        "the end of a pause starts what was held, as one deploy",
        app(live(), requests=Requests(is_paused=True, held=(Held("a", "c1"), Held("b", None)))),
        ev.Resumed(),
        {**STARTED, "requests.is_paused": False, "requests.held": (), "requests.revision": "c1"},
        (ef.SavePause(is_paused=False), start(request=Request(("a", "b"), Source("c1")))),
    ),
]

OBTAINED = [
    *always("what a deploy obtained is noted", ev.Obtained("c1"), {"requests.obtained": "c1"}),
    Case("what a deploy obtained is noted", DEPLOYING, ev.Obtained("c1"), {"requests.obtained": "c1"}),
    Case(
        "a commit that was found, and obtained since, starts nothing more",
        app(live(), requests=Requests(missed="c1")),
        ev.Obtained("c1"),
        {"requests.obtained": "c1", "requests.missed": None},
    ),
]

CASES = [*TRIGGERS, *IF_CHANGED, *ORDERS, *FOUND, *CANCELS, *PAUSES, *OBTAINED]


@each(CASES)
def test_requests(case: Case) -> None:
    case.check()


def test_the_next_version_gets_the_next_number() -> None:
    assert STARTED["next_number"] == NUMBER + 1
