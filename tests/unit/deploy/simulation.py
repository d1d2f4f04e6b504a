"""A simulation of what the pure function controls: containers, routes and work, which ends in any order that a test chooses.

It promises what the workers promise, and not more: a flip takes time, and ignores a cancel; a cancel may come too late;
an exit that is known may still be news to the work that it concerns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import Command
from hanoverd.deploy.state import Kind, Phase, Policy, Role, State
from hanoverd.deploy.targets import Source
from hanoverd.deploy.transitions import transition
from hanoverd.spec.container import ContainerSpec, Image, Recipe
from hanoverd.spec.image_name import ImageName

Choose = Callable[[list[str]], str]


def recipe(name: str) -> Recipe:
    """A recipe that is known by its image's name."""
    return Recipe(Image(f"sha256:{name}", ImageName(name), ()), ContainerSpec())


@dataclass
class Container:
    """What the engine has; ``passed`` its readiness check."""

    number: int
    runs: bool = True
    passed: bool = False


@dataclass(eq=False)
class Work:
    """An effect in progress, for one version (or -1).  ``stage`` is how far it has come, ``outcome`` how it will end."""

    name: str
    number: int
    effect: Any = None
    stage: str = ""
    is_cancelled: bool = False
    replaced: tuple[int, ...] = ()
    outcome: ev.Event | None = None


@dataclass
class Simulation:
    """``send`` is an event; ``work`` is what is in progress, and ``advance`` takes one of these a step further."""

    policy: Policy
    state: State = field(init=False)
    work: list[Work] = field(default_factory=list)
    timers: list[ef.StartTimer] = field(default_factory=list)
    containers: dict[int, Container] = field(default_factory=dict)
    routed: int | None = None
    #: The newest commit of the source.
    newest_commit: str = "commit 0"
    #: The work for which no other version may start, without overlap.
    room: Work | None = None
    #: The flip in progress: one at a time.
    flipping: Work | None = None
    #: From now on no source, no engine and no client does what we wait for.
    is_silent: bool = False
    left: set[int] = field(default_factory=set)
    #: The numbers that versions have, or had.
    used: set[int] = field(default_factory=set)
    reports: list[ef.Effect] = field(default_factory=list)
    #: The events so far, each with the phase in which it happened.
    happened: list[tuple[str, Phase]] = field(default_factory=list)
    is_finished: bool = False

    def __post_init__(self) -> None:
        self.state = State(self.policy)

    # -- events in, effects out

    def send(self, event: ev.Event) -> tuple[ef.Effect, ...]:
        """An event happens."""
        before = self.state
        self.happened.append((type(event).__name__, before.phase))
        self.state, effects = transition(self.state, event)
        match event:
            case ev.AttemptFailed() | ev.AttemptCancelled() | ev.EngineLost():
                assert self.state.live == before.live or self.state.is_stopping, (
                    "a failed candidate changed what is live"
                )
            case ev.Flipped() if before.deploy is not None and before.deploy.number == event.number:
                restart = self.state.restart
                assert restart is None or restart.cancelled, "a restart continues although a deploy is live"
            case _:
                pass
        for effect in effects:
            self._run(effect)
        self.check()
        return effects

    def _run(self, effect: ef.Effect) -> None:  # noqa: PLR0915  # one case an effect
        match effect:
            case ef.Adopt():
                assert not self.works("adopt"), "taken over twice at once"
                self.work.append(Work("adopt", -1))
            case ef.CancelAdoption():
                self.works("adopt")[0].is_cancelled = True
            case ef.StartAttempt(attempt):
                assert attempt.number is not None
                assert attempt.number not in self.used, "a number was given to two versions"
                self.used.add(attempt.number)
                assert not self.state.is_engine_lost, "an attempt starts while the engine is away"
                self.work.append(Work("attempt", attempt.number, effect, "obtaining"))
            case ef.CancelAttempt(number, _):
                self.works("attempt", number)[0].is_cancelled = True
            case ef.Reinstate(number):
                assert not self._reinstatements(), "two versions return at once"
                # Nothing is drained that is made live again.
                self.drop("retire", number)
                self.work.append(Work("reinstate", number, stage="waiting"))
            case ef.CancelReinstatement(number):
                for work in self.works("reinstate", number):
                    self._cancel_reinstatement(work)
            case ef.RemoveRoutes(number):
                self.work.append(Work("remove_routes", -1 if number is None else number))
            case ef.Retire(number, drain, _):
                self.work.append(Work("retire", number, effect, "draining" if drain else "stopping"))
            case ef.EndDrain(number):
                for work in self.works("retire", number):
                    work.stage = "stopping"
            case ef.Detach(number):
                self.left.add(number)
                self.drop("retire", number)
            case ef.Remove(number) | ef.CleanUpDead(number):
                self.work.append(Work("remove", number))
            case ef.StartTimer():
                self._stop_timer(effect.timer, effect.number)
                self.timers.append(effect)
            case ef.CancelTimer(timer, number):
                self._stop_timer(timer, number)
            case ef.WaitForEngine():
                assert not self.works("engine"), "two wait for the engine"
                self.work.append(Work("engine", -1))
            case ef.StopWaitingForEngine():
                self.drop("engine", -1)
            case ef.Prune():
                self.work.append(Work("prune", -1))
            case ef.Sweep():
                self.work.append(Work("sweep", -1))
            case ef.Finish():
                assert not self.is_finished, "finished twice"
                self.is_finished = True
                self.timers = []
            case ef.ReportUnchanged(attempt, live):
                assert attempt.request.if_changed, "a handover was skipped that was to be carried out"
                assert self.state.role(live) is Role.LIVE, "unchanged, and not live"
                assert self.containers[live].passed, "unchanged, and not ready"
                self.reports.append(effect)
            case ef.ReportFailed(attempt):
                assert not attempt.cancelled, "a cancelled attempt is reported as a failure"
                self.reports.append(effect)
            case _:
                self.reports.append(effect)

    def works(self, name: str, number: int | None = None) -> list[Work]:
        """The work in progress of this name, for this version or for all."""
        return [one for one in self.work if one.name == name and number in (None, one.number)]

    def drop(self, name: str, number: int) -> None:
        """The work of this name for this version ends, and sends nothing."""
        self.work = [one for one in self.work if (one.name, one.number) != (name, number)]

    def _stop_timer(self, timer: ef.TimerKind, number: int) -> None:
        self.timers = [one for one in self.timers if (one.timer, one.number) != (timer, number)]

    # -- one step of one piece of work; ``choose`` picks one of some ways it may go, the first is the usual one

    def is_blocked(self, work: Work) -> bool:
        """Whether it waits for other work, or for the far side that is silent."""
        is_waiting_for_others = {
            "adopt": True,
            "engine": True,
            "attempt": work.stage not in ("flipping", "discarding"),
            "retire": work.stage == "draining",
        }.get(work.name, False)
        if self.is_silent and is_waiting_for_others and not work.is_cancelled:
            return True
        if work.is_cancelled:
            return False
        has_no_room = self.room not in (None, work)
        if work.name == "attempt" and work.stage == "created" and not self.policy.overlap and has_no_room:
            return True
        if work.name == "reinstate" and work.stage == "waiting" and has_no_room:
            return True
        return (work.stage == "ready" or work.name in ("remove_routes", "sweep")) and self.flipping not in (None, work)

    def advance(self, work: Work, choose: Choose) -> None:
        """Take ``work``, which is not blocked, one step further."""
        getattr(self, f"_{work.name}")(work, choose)

    def _end(self, work: Work) -> None:
        self.work.remove(work)
        self._release(work)

    def _release(self, work: Work) -> None:
        if self.room is work:
            self.room = None
        if self.flipping is work:
            self.flipping = None

    def _adopt(self, work: Work, choose: Choose) -> None:
        self._end(work)
        if work.is_cancelled and choose(["cancelled", "too late"]) == "cancelled":
            self.send(ev.AdoptionCancelled())
            return
        way = choose(["serving", "nothing", "unready", "fails"])
        if way == "fails":
            self.send(ev.AdoptionFailed("iptables"))
        elif way == "nothing":
            self.send(ev.Adopted())
        else:
            for number in (0, 1, 2, 3):
                self.used.add(number)
                self.containers[number] = Container(number, runs=number != 3, passed=number < 2)
            self.routed = 1
            self.send(ev.Adopted(1, recipe("adopted"), way == "serving", ((0, True),), (2,), (3,), 4))

    def _attempt(self, work: Work, choose: Choose) -> None:
        number = work.number
        if work.stage == "flipping":
            self._finish_flip(work, choose, ev.AttemptFailed(number, "iptables"))
        elif work.stage == "discarding":
            assert work.outcome is not None
            self._end(work)
            if choose(["removed", "later"]) == "removed":
                self.containers.pop(number, None)
                self.send(ev.Gone(number))
            else:
                self.work.append(Work("remove", number))
            self.send(work.outcome)
        elif work.is_cancelled:
            way = choose(["cancelled", "cancelled", "fails", "engine"])
            self._discard(work, _outcome(number, way))
        elif work.stage == "obtaining" and choose(["free", "free", "free", "free", "taken"]) == "taken":
            self._end(work)
            self.send(ev.NameTaken(number, number + 2))
        elif self._may_be_unchanged(work) and choose(["changed", "unchanged"]) == "unchanged":
            self._end(work)
            # What was found may be over by now.
            serves = next(iter(self.state.live), -1)
            self.send(ev.Unchanged(number, serves))
        elif (way := choose(["on", "on", "on", "on", "fails", "engine"])) != "on":
            self._discard(work, _outcome(number, way))
        else:
            self._continue(work)

    def _may_be_unchanged(self, work: Work) -> bool:
        return bool(work.stage == "obtaining" and work.effect.attempt.request.if_changed)

    def _continue(self, work: Work) -> None:
        number = work.number
        match work.stage:
            case "obtaining":
                target = work.effect.attempt.request.target
                if isinstance(target, Source):
                    self.send(ev.Obtained(target.revision or self.newest_commit))
                self.containers[number] = Container(number)
                work.stage = "created"
            case "created":
                if not self.policy.overlap:
                    self.room = work
                    self._make_room(work)
                work.stage = "started"
            case "started" if self.containers[number].runs:
                self.containers[number].passed = True
                work.stage = "ready"
            case "ready":
                if self._may_flip(work):
                    work.stage = "flipping"
                else:
                    self._discard(work, _outcome(number, "fails"))
            case _:
                self._discard(work, _outcome(number, "fails"))

    def _make_room(self, work: Work) -> None:
        if self.routed is None:
            return
        work.replaced, self.routed = (self.routed,), None
        self.send(ev.LiveStopped(work.number))
        for number in work.replaced:
            if number in self.containers and self.containers[number].runs:
                self.exit(number, 143)

    def _discard(self, work: Work, outcome: ev.Event) -> None:
        self._release(work)
        work.stage, work.outcome = "discarding", outcome

    def _may_flip(self, work: Work) -> bool:
        if not self.state.may_go_live(work.number):
            return False
        container = self.containers[work.number]
        assert container.runs, "routed to a version that has exited"
        assert container.passed, "routed to a version that has not passed its readiness check"
        assert not work.is_cancelled, "routed to a version that was cancelled"
        self.flipping = work
        return True

    def _finish_flip(self, work: Work, choose: Choose, failure: ev.Event) -> None:
        if choose(["on", "on", "on", "fails"]) == "fails":
            if work.name == "attempt":
                self._discard(work, failure)
            else:
                self._end(work)
                self.send(failure)
            return
        self._end(work)
        replaced = frozenset() if self.routed is None else frozenset([self.routed])
        self.routed = work.number
        self.send(ev.Flipped(work.number, recipe(f"v{work.number}"), replaced))
        for number in sorted(replaced or work.replaced):
            # The one who replaced a version retires it, unless something else became of it meanwhile.
            role = self.state.role(number)
            if role in (Role.DRAINING, Role.STOPPING):
                self.work.append(Work("retire", number, stage="draining" if role is Role.DRAINING else "stopping"))
        self.check()

    def _reinstate(self, work: Work, choose: Choose) -> None:
        container = self.containers.get(work.number)
        if work.stage == "flipping":
            self._finish_flip(work, choose, ev.ReinstatementFailed(work.number, "iptables"))
            return
        way = choose(["on", "on", "on", "fails", "is gone"])
        if container is None or way == "is gone":
            self._end(work)
            self.send(ev.ReinstatementFailed(work.number, "gone", is_gone=True))
        elif way == "fails":
            self._end(work)
            self.send(ev.ReinstatementFailed(work.number, "not ready"))
        elif work.stage == "waiting":
            self.room = work
            if self.state.versions[work.number].has_exited:
                # It is known already.
                self._end(work)
                self.send(ev.ReinstatementFailed(work.number, "exited"))
            else:
                container.runs = container.passed = True
                work.stage = "ready"
        elif self._may_flip(work):
            work.stage = "flipping"
        else:
            self._end(work)
            self.send(ev.ReinstatementFailed(work.number, "exited"))

    def _cancel_reinstatement(self, work: Work) -> None:
        if work.stage == "flipping":
            work.is_cancelled = True
        else:
            self._end(work)

    def _reinstatements(self) -> list[Work]:
        return [one for one in self.works("reinstate") if not one.is_cancelled]

    def _remove_routes(self, work: Work, _choose: Choose) -> None:
        self._end(work)
        if work.number in (-1, self.routed):
            self.routed = None

    def _retire(self, work: Work, choose: Choose) -> None:
        role = self.state.role(work.number)
        if role not in (Role.DRAINING, Role.STOPPING):
            self._end(work)
        elif work.stage == "draining" and role is Role.DRAINING:
            work.stage = "stopping"
            self.send(ev.DrainEnded(work.number))
        elif role is Role.DRAINING:
            self.send(ev.DrainEnded(work.number))
        else:
            self._end(work)
            if work.number not in self.containers:
                return
            if self.containers[work.number].runs:
                self.exit(work.number, 143)
            keep = work.effect is None or work.effect.keep
            if keep and choose(["kept", "removed"]) == "kept":
                self.send(ev.Kept(work.number))
            else:
                self.containers.pop(work.number, None)
                self.send(ev.Gone(work.number))

    def _remove(self, work: Work, _choose: Choose) -> None:
        self._end(work)
        self.containers.pop(work.number, None)
        self.send(ev.Gone(work.number))

    def _engine(self, work: Work, _choose: Choose) -> None:
        self._end(work)
        self.send(ev.EngineBack())

    def _prune(self, work: Work, choose: Choose) -> None:
        self._end(work)
        if choose(["done", "fails"]) == "fails":
            self.send(ev.PruneFailed())

    def _sweep(self, work: Work, _choose: Choose) -> None:
        self._end(work)
        self.routed = None
        self.containers.clear()
        self.send(ev.Swept())

    # -- what comes from outside

    def fire(self, timer: ef.StartTimer) -> None:
        """A timer runs out."""
        self.timers.remove(timer)
        self.send(ev.TimerExpired(timer.timer, timer.number))

    def exit(self, number: int, code: int) -> None:
        """A container exits."""
        self.containers[number] = replace(self.containers[number], runs=False)
        self.send(ev.Exited(number, code))

    def command(self, reason: str, number: int, *, if_changed: bool = False) -> None:
        """A person deploys."""
        self.send(ev.CommandReceived(Command(reason, Source(), number, if_changed=if_changed)))

    # -- what must always hold

    def check(self) -> None:
        """Fail where an invariant does not hold."""
        state = self.state
        for number in self.containers:
            assert number in state.versions or number in self.left or state.phase in (Phase.SWEEPING, Phase.ENDED), (
                f"version {number} is forgotten"
            )
        returning = state.in_role(Role.REINSTATING)
        assert len(returning) <= 1
        for version in state.in_role(Role.LIVE):
            assert version.share > 0
            assert version.is_verified or version.recipe == recipe("adopted"), "live without a readiness check"
            assert not returning or version.is_rejected, "an earlier version is on its way to replace a healthy one"
        for attempt in state.attempts:
            assert attempt.number is None or state.role(attempt.number) in (Role.CANDIDATE, None)
        assert (state.deploy is None) or state.deploy.kind is Kind.DEPLOY
        if self.is_finished:
            left = set(state.versions) - {version.number for version in state.in_role(Role.KEPT)}
            assert not left, f"versions {left} are forgotten at the end"
            assert not state.attempts
            for work in self.work:
                assert work.name not in ("adopt", "engine", "attempt"), f"{work} continues after the end"
                assert work.name != "reinstate" or work.stage == "flipping", f"{work} continues after the end"

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
            case Role.REINSTATING:
                return bool([one for one in self._reinstatements() if one.number == number]) or any(
                    one.timer is ef.TimerKind.REINSTATE for one in self.timers
                )
            case Role.STANDBY:
                # A stop that keeps the live version leaves one that cannot be made live again.
                return self.state.standby_for is not None or self.state.phase in (Phase.DETACHING, Phase.ENDED)
            case _:
                return True


def _outcome(number: int, way: str) -> ev.Event:
    if way == "cancelled":
        return ev.AttemptCancelled(number)
    if way == "engine":
        return ev.EngineLost(number, "lost")
    return ev.AttemptFailed(number, "failed")
