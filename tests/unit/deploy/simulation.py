"""The far side of the pure function: containers, routes and work under way, which end in whatever order a test likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import Order
from hanoverd.deploy.state import Kind, Phase, Policy, Role, State
from hanoverd.deploy.targets import Source
from hanoverd.deploy.transitions import transition
from hanoverd.model.container import ContainerOptions, Image, Recipe
from hanoverd.model.images import ImageName


def recipe(name: str) -> Recipe:
    """A recipe that is known by its image's name."""
    return Recipe(Image(f"sha256:{name}", ImageName(name), ()), ContainerOptions())


@dataclass
class Container:
    """What the engine has; ``passed`` its readiness check."""

    number: int
    runs: bool = True
    passed: bool = False


@dataclass
class Work:
    """An effect under way, for one version (or 0).  ``stage`` is how far it has come."""

    name: str
    number: int
    effect: Any = None
    stage: str = ""
    is_cancelled: bool = False
    replaced: tuple[int, ...] = ()


@dataclass
class Simulation:
    """``send`` is an event; ``work`` is what is under way, and each verb below takes one of these a step further."""

    policy: Policy
    state: State = field(init=False)
    work: list[Work] = field(default_factory=list)
    timers: list[ef.StartTimer] = field(default_factory=list)
    containers: dict[int, Container] = field(default_factory=dict)
    routed: int | None = None
    left: set[int] = field(default_factory=set)
    reports: list[ef.Effect] = field(default_factory=list)
    is_finished: bool = False

    def __post_init__(self) -> None:
        self.state = State(self.policy)

    # -- events in, effects out

    def send(self, event: ev.Event) -> tuple[ef.Effect, ...]:
        """An event happens."""
        before = self.state
        self.state, effects = transition(self.state, event)
        if isinstance(event, ev.AttemptFailed) and before.room_for is None:
            assert self.state.live == before.live, "a failed candidate has changed what is live"
        for effect in effects:
            self._run(effect)
        self.check()
        return effects

    def _run(self, effect: ef.Effect) -> None:
        match effect:
            case ef.Adopt():
                self.work.append(Work("adopt", -1))
            case ef.StartAttempt(attempt):
                assert attempt.number is not None
                assert attempt.number not in self.containers, "a number was given to two containers"
                self.work.append(Work("attempt", attempt.number, effect, "obtaining"))
            case ef.CancelAttempt(number, _):
                self.find("attempt", number).is_cancelled = True
            case ef.Return(number):
                assert not [one for one in self.work if one.name == "return"], "two versions return at once"
                self.work.append(Work("return", number))
            case ef.CancelReturn(number):
                # A flip that has started ignores the cancel.
                self.work = [
                    one for one in self.work if (one.name, one.number) != ("return", number) or one.stage == "flipping"
                ]
            case ef.Unroute(number):
                self.work.append(Work("unroute", -1 if number is None else number))
            case ef.Retire(number, drain, _):
                self.work.append(Work("retire", number, effect, "draining" if drain else "stopping"))
            case ef.EndDrain(number) | ef.Leave(number) if effect:
                if isinstance(effect, ef.Leave):
                    self.left.add(number)
                    self.work = [one for one in self.work if not (one.name == "retire" and one.number == number)]
            case ef.Discard(number):
                self.work.append(Work("remove", number))
            case ef.CleanUpDead(number):
                self.work.append(Work("remove", number))
            case ef.StartTimer():
                self.timers = [one for one in self.timers if (one.timer, one.number) != (effect.timer, effect.number)]
                self.timers.append(effect)
            case ef.CancelTimer(timer, number):
                self.timers = [one for one in self.timers if (one.timer, one.number) != (timer, number)]
            case ef.WaitForEngine():
                self.work.append(Work("engine", -1))
            case ef.StopWaitingForEngine():
                self.work = [one for one in self.work if one.name != "engine"]
            case ef.Sweep():
                self.work.append(Work("sweep", -1))
            case ef.Finish():
                assert not self.is_finished, "finished twice"
                self.is_finished = True
                self.timers = []
            case ef.CancelAdoption():
                self.find("adopt", -1).is_cancelled = True
            case _:
                self.reports.append(effect)

    @property
    def oldest(self) -> Work:
        """The work that goes on first: a change of the rules that has started is not disturbed."""
        return next((one for one in self.work if one.stage == "flipping"), self.work[0])

    def find(self, name: str, number: int) -> Work:
        """The work of this name for this version."""
        return next(one for one in self.work if (one.name, one.number) == (name, number))

    # -- one step of one piece of work; ``choose`` picks one of some ways it may go

    def advance(self, work: Work, choose: Callable[[list[str]], str]) -> None:
        """Take ``work`` one step further."""
        getattr(self, f"_{work.name}")(work, choose)

    def _adopt(self, work: Work, choose: Callable[[list[str]], str]) -> None:
        self.work.remove(work)
        if work.is_cancelled:
            self.send(ev.AdoptionCancelled())
            return
        way = choose(["serving", "nothing", "unready", "fails"])
        if way == "fails":
            self.send(ev.AdoptionFailed("iptables"))
        elif way == "nothing":
            self.send(ev.Adopted())
        else:
            for number in (0, 1, 2):
                self.containers[number] = Container(number, passed=number < 2)
            self.routed = 1
            self.send(ev.Adopted(1, recipe("adopted"), way == "serving", ((0, True),), (2,), (), 3))

    def _attempt(self, work: Work, choose: Callable[[list[str]], str]) -> None:
        if work.is_cancelled:
            self._end_attempt(work, choose, ev.AttemptCancelled(work.number))
            return
        way = choose(["on", "on", "on", "fails", "engine"])
        if way == "fails":
            self._end_attempt(work, choose, ev.AttemptFailed(work.number, "failed"))
        elif way == "engine":
            self._end_attempt(work, choose, ev.EngineLost(work.number, "lost"))
        elif work.stage == "obtaining":
            self.containers[work.number] = Container(work.number)
            work.stage = "created"
        elif work.stage == "created":
            needs_room = not self.policy.overlap and self.state.live
            if self.state.room_for is not None or (needs_room and self.state.in_role(Role.RETURNING)):
                return  # Another one has the room.
            if needs_room:
                work.replaced = tuple(self.state.live)
                self.routed = None
                for number in work.replaced:
                    self.containers[number].runs = False
                self.send(ev.MadeRoom(work.number))
            work.stage = "started"
        elif self.containers[work.number].runs:
            self.containers[work.number].passed = True
            if not self._is_flipping and self.state.may_go_live(work.number):
                self.work.remove(work)
                self._flip(work)
        else:
            self._end_attempt(work, choose, ev.AttemptFailed(work.number, "exited"))

    def _end_attempt(self, work: Work, choose: Callable[[list[str]], str], event: ev.Event) -> None:
        self.work.remove(work)
        if choose(["removed", "later"]) == "removed":
            self.containers.pop(work.number, None)
            self.send(ev.Gone(work.number))
        else:
            self.work.append(Work("remove", work.number))
        self.send(event)

    def _flip(self, work: Work) -> None:
        replaced = frozenset() if self.routed is None else frozenset([self.routed])
        self.routed = work.number
        container = self.containers.get(work.number)
        assert container is None or container.passed, "routed to a version that has not passed its readiness check"
        self.send(ev.Flipped(work.number, recipe(f"v{work.number}"), replaced))
        for number in {*replaced, *work.replaced}:
            if self.state.role(number) in (Role.DRAINING, Role.STOPPING) and not self._has("retire", number):
                stage = "draining" if self.state.role(number) is Role.DRAINING else "stopping"
                if not self._has("remove", number):
                    self.work.append(Work("retire", number, stage=stage))
        self.check()

    def _has(self, name: str, number: int) -> bool:
        return any((one.name, one.number) == (name, number) for one in self.work)

    def _return(self, work: Work, choose: Callable[[list[str]], str]) -> None:
        self.work.remove(work)
        if work.stage == "flipping":
            self._flip(work)
            return
        # What drained is not drained any longer.
        self.work = [one for one in self.work if (one.name, one.number) != ("retire", work.number)]
        container = self.containers.get(work.number)
        way = choose(["on", "on", "fails", "is gone"])
        if container is None or way == "is gone":
            self.send(ev.ReturnFailed(work.number, "gone", is_gone=True))
        elif way == "fails":
            self.send(ev.ReturnFailed(work.number, "iptables"))
        else:
            container.runs = container.passed = True
            if self.state.may_go_live(work.number):
                work.stage = "flipping"
                self.work.append(work)
            else:
                self.send(ev.ReturnFailed(work.number, "exited"))

    @property
    def _is_flipping(self) -> bool:
        """Whether the rules are being changed, one change at a time."""
        return any(one.stage == "flipping" for one in self.work)

    def _unroute(self, work: Work, _choose: Callable[[list[str]], str]) -> None:
        if self._is_flipping:
            return
        self.work.remove(work)
        if work.number in (-1, self.routed):
            self.routed = None

    def _retire(self, work: Work, choose: Callable[[list[str]], str]) -> None:
        role = self.state.role(work.number)
        if role not in (Role.DRAINING, Role.STOPPING):
            self.work.remove(work)
        elif work.stage == "draining":
            work.stage = "stopping"
            self.send(ev.DrainEnded(work.number))
        else:
            self.work.remove(work)
            self.containers[work.number].runs = False
            keep = work.effect is None or work.effect.keep
            if keep and choose(["kept", "removed"]) == "kept":
                self.send(ev.Kept(work.number))
            else:
                self.containers.pop(work.number, None)
                self.send(ev.Gone(work.number))

    def _remove(self, work: Work, _choose: Callable[[list[str]], str]) -> None:
        self.work.remove(work)
        self.containers.pop(work.number, None)
        self.send(ev.Gone(work.number))

    def _engine(self, work: Work, _choose: Callable[[list[str]], str]) -> None:
        self.work.remove(work)
        self.send(ev.EngineBack())

    def _sweep(self, work: Work, _choose: Callable[[list[str]], str]) -> None:
        if self._is_flipping:
            return
        self.work.remove(work)
        self.routed = None
        self.containers.clear()
        self.send(ev.Swept())

    def fire(self, timer: ef.StartTimer) -> None:
        """A timer runs out."""
        self.timers.remove(timer)
        self.send(ev.Due(timer.timer, timer.number))

    def exit(self, number: int, code: int) -> None:
        """A container exits by itself."""
        self.containers[number].runs = False
        self.send(ev.Exited(number, code))

    def order(self, reason: str, number: int) -> None:
        """A person deploys."""
        self.send(ev.Ordered(Order(reason, Source(), number)))

    # -- what must always hold

    def check(self) -> None:
        """Fail where an invariant does not hold."""
        state = self.state
        for number in self.containers:
            assert number in state.versions or number in self.left or state.phase in (Phase.SWEEPING, Phase.ENDED), (
                f"version {number} is forgotten"
            )
        assert len(state.in_role(Role.RETURNING)) <= 1
        for version in state.in_role(Role.LIVE):
            assert version.share > 0
            assert version.is_verified or version.recipe == recipe("adopted"), "live without a readiness check"
        for attempt in state.attempts:
            assert attempt.number is None or state.role(attempt.number) in (Role.CANDIDATE, None)
        assert (state.deploy is None) or state.deploy.kind is Kind.DEPLOY

    def is_attended(self, number: int) -> bool:
        """Whether something will happen to this version without any event from outside."""
        role = self.state.role(number)
        names = {one.name for one in self.work if one.number == number}
        match role:
            case Role.CANDIDATE:
                return "attempt" in names
            case Role.DRAINING:
                return "retire" in names
            case Role.STOPPING:
                return bool(names & {"retire", "remove"})
            case Role.RETURNING:
                return "return" in names or any(one.timer is ef.TimerKind.RETURN for one in self.timers)
            case Role.STANDBY:
                # A stop that keeps the live version leaves one that cannot be made live again.
                return self.state.room_for is not None or self.state.phase in (Phase.LEAVING, Phase.ENDED)
            case _:
                return True
