"""The transition table: one case says what one event changes in one state, and what is done then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import Command, Request, Requests
from hanoverd.deploy.state import FULL_SHARE, Attempt, Kind, Phase, Policy, Restarts, Role, State, Version
from hanoverd.deploy.targets import Restart, Source
from hanoverd.deploy.transitions import transition
from hanoverd.spec.restart import RestartPolicy
from tests.unit.deploy.simulation import recipe

ALWAYS = Policy(RestartPolicy("always"))
NEVER = Policy(RestartPolicy("no"))

#: The next free number, attempt and turn of ``app``.
NUMBER, ATTEMPT, LIVE_ORDER = 20, 30, 40


@dataclass(frozen=True)
class Case:
    """``says`` what follows, in words; ``changed`` are all changes, in the notation of ``changes``, ``effects`` all effects."""

    says: str
    state: State
    event: ev.Event
    changed: Mapping[str, object]
    effects: tuple[ef.Effect, ...] = ()

    @property
    def cell(self) -> tuple[type, Phase]:
        """The cell of the table that it is about."""
        return type(self.event), self.state.phase

    @property
    def role_cell(self) -> tuple[type, Role | None]:
        """The cell of the table of versions that it is about."""
        return type(self.event), self.state.role(getattr(self.event, "number", -1))

    def check(self) -> None:
        """Fail where anything else follows."""
        after, effects = transition(self.state, self.event)
        assert (changes(self.state, after), effects) == (self.changed, self.effects)


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Parametrise a test by cases."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.says.replace(" ", "_")) for case in cases])


# -- states


def app(
    *versions: Version,
    phase: Phase = Phase.RUNNING,
    policy: Policy = ALWAYS,
    attempts: Iterable[Attempt] = (),
    **more: Any,
) -> State:
    """A state with these versions, handovers, and other fields."""
    kinds: dict[str, Any] = {attempt.kind.value: attempt for attempt in attempts}
    return State(
        policy,
        phase,
        {version.number: version for version in versions},
        next_number=NUMBER,
        next_attempt=ATTEMPT,
        next_live_order=LIVE_ORDER,
        **kinds,
        **more,
    )


def in_role(number: int, role: Role, **more: Any) -> Version:
    """A version that was verified, and has settled, if it was ever live."""
    if role in (Role.CANDIDATE, Role.KEPT):
        return Version(number, role, **more)
    share = FULL_SHARE if role is Role.LIVE else 0
    given = {
        "recipe": recipe(f"v{number}"),
        "share": share,
        "live_order": number,
        "is_verified": True,
        "has_settled": True,
    }
    return Version(number, role, **{**given, **more})


def live(number: int = 1, **more: Any) -> Version:
    return in_role(number, Role.LIVE, **more)


def draining(number: int, **more: Any) -> Version:
    return in_role(number, Role.DRAINING, **more)


def standby(number: int, **more: Any) -> Version:
    return in_role(number, Role.STANDBY, **more)


def reinstating(number: int, **more: Any) -> Version:
    return in_role(number, Role.REINSTATING, **more)


def stopping(number: int, **more: Any) -> Version:
    return in_role(number, Role.STOPPING, **more)


def kept(number: int) -> Version:
    return in_role(number, Role.KEPT)


def candidate(number: int, **more: Any) -> Version:
    return in_role(number, Role.CANDIDATE, **more)


def deploy(number: int | None = 2, **more: Any) -> Attempt:
    """A deploy in progress, of this version."""
    return replace(Attempt(7, Kind.DEPLOY, Request(("push",), Source()), number), **more)


def restart(number: int | None = 3, **more: Any) -> Attempt:
    """A restart of version 1 in progress, as this version."""
    return replace(Attempt(8, Kind.RESTART, restart_request(), number), **more)


def restart_request(name: str = "v1") -> Request:
    return Request(("the live version has exited",), Restart(recipe(name)))


def waiting(*reasons: str, **more: Any) -> Requests:
    """A request that waits."""
    return Requests(reasons, **more)


def command(number: int = 1, *, if_changed: bool = False) -> Command:
    return Command("as a person asked", Source(), number, if_changed=if_changed)


def wanted(count: int = 1, name: str = "v1", *, is_due: bool = False) -> Restarts:
    """A restart that waits for its timer."""
    return Restarts(count, recipe(name), is_due)


def start(number: int = NUMBER, request: Request | None = None, **more: Any) -> ef.StartAttempt:
    """The start of the next deploy, or of a handover as given."""
    attempt = Attempt(ATTEMPT, Kind.DEPLOY, request or Request(("push",), Source()), number)
    return ef.StartAttempt(replace(attempt, **more))


#: What a started deploy changes.
STARTED: Mapping[str, object] = {
    "next_number": NUMBER + 1,
    "next_attempt": ATTEMPT + 1,
    "deploy": NUMBER,
    "+20": "candidate",
}


def gone_live(number: int, **more: object) -> dict[str, object]:
    """What a version that goes live changes."""
    changed = {
        f"{number}.role": "live",
        f"{number}.share": FULL_SHARE,
        f"{number}.live_order": LIVE_ORDER,
        "next_live_order": LIVE_ORDER + 1,
    }
    return {**changed, **more}


def first_live(number: int, more: Mapping[str, object] | None = None, *, stays: bool = True) -> dict[str, object]:
    """What a candidate that goes live changes, where nothing is to be settled; one that does not stay live is stopped."""
    changed = {
        **gone_live(number),
        f"{number}.recipe": recipe(f"v{number}"),
        f"{number}.is_verified": True,
        f"{number}.has_settled": True,
    }
    if not stays:
        changed[f"{number}.role"] = "stopping"
        del changed[f"{number}.share"]
    return {**changed, **(more or {})}


def proved(number: int) -> ef.StartTimer:
    return ef.StartTimer(ef.TimerKind.STABLE, 10.0, number)


# -- changes


def changes(before: State, after: State) -> dict[str, object]:
    """All that differs: ``phase`` of the state, ``requests.command`` of what it holds, ``1.role`` of version 1; ``+1`` is a
    new version with its role, ``-1`` one that is gone; ``deploy`` is a new attempt with its number, None if it is over.
    """
    found: dict[str, object] = {}
    for name in ("deploy", "restart"):
        found.update(_attempt_changes(name, getattr(before, name), getattr(after, name)))
    for number in sorted({*before.versions, *after.versions}):
        old, new = before.versions.get(number), after.versions.get(number)
        if old is None or new is None:
            found.update({f"+{number}": new.role.value} if new is not None else {f"-{number}": None})
        else:
            found.update(_field_changes(f"{number}.", old, new))
    for name in ("requests", "restarts"):
        found.update(_field_changes(f"{name}.", getattr(before, name), getattr(after, name)))
    others = [
        one.name for one in fields(State) if one.name not in ("deploy", "restart", "versions", "requests", "restarts")
    ]
    found.update({name: getattr(after, name) for name in others if getattr(before, name) != getattr(after, name)})
    return {name: value.value if isinstance(value, (Role, Phase)) else value for name, value in found.items()}


def _attempt_changes(name: str, old: Attempt | None, new: Attempt | None) -> dict[str, object]:
    if old is not None and new is not None and old.id == new.id:
        return _field_changes(f"{name}.", old, new)
    return {} if old == new else {name: None if new is None else new.number}


def _field_changes(prefix: str, old: Any, new: Any) -> dict[str, object]:
    names = [one.name for one in fields(old)]
    return {prefix + name: getattr(new, name) for name in names if getattr(old, name) != getattr(new, name)}
