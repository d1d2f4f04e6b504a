"""Whatever happens to an app, in whatever order: the life of it keeps its promises (Hypothesis, rule-based)."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.state import Kind, Phase, Policy, Role
from hanoverd.spec.restart import RestartPolicy
from tests.unit.deploy.simulation import Simulation, Work

#: More steps than any stop needs.
MANY = 400

#: How many lives, and how many things happen in each, at the most.
LIVES, STEPS = 1200, 40

#: A stop comes after so many requests at the earliest: most of a life is before it, and each life ends with one.
ENOUGH = 4


class Life(RuleBasedStateMachine):
    """Random events, and work in progress that ends at random."""

    sim: Simulation

    #: What has happened in all lives.
    happened: ClassVar[Counter[tuple[str, Phase]]] = Counter()
    lives = 0
    steps = 0

    @initialize(
        overlap=st.booleans(),
        keep=st.booleans(),
        settle=st.sampled_from([0.0, 30.0]),
        restart=st.sampled_from([RestartPolicy("always"), RestartPolicy("no"), RestartPolicy("on-failure", 2)]),
        adopted=st.sampled_from(["serving", "nothing", "serving", "nothing", "unready", "fails", ""]),
        is_late=st.booleans(),
        if_changed=st.booleans(),
    )
    def start(
        self,
        *,
        overlap: bool,
        keep: bool,
        settle: float,
        restart: RestartPolicy,
        adopted: str,
        is_late: bool,
        if_changed: bool,
    ) -> None:
        #: Whether the stop comes too late for what it cancels.
        self.is_late = is_late
        self.sim = Simulation(Policy(restart, settle, overlap, keep, if_changed))
        self.requests = 0
        self.newest = ""
        self.sim.send(ev.Started())
        self.trigger()
        if adopted:
            self.sim.advance(self.sim.work[0], lambda _ways: adopted)

    def new_request(self) -> str:
        self.requests += 1
        return f"request {self.requests}"

    def trigger(self) -> None:
        reason = self.new_request()
        is_held = self.sim.state.requests.is_paused
        self.sim.send(ev.Triggered(reason))
        if not is_held:
            self.newest = reason

    def ready_work(self, *names: str, draining: bool = False) -> list[Work]:
        """The work that can go on, of these names or of all, without the drains, or these alone."""
        return [
            one
            for one in self.sim.work
            if (not names or one.name in names)
            and not self.sim.is_blocked(one)
            and (one.name == "retire" and one.stage == "draining") is draining
        ]

    @rule(
        kind=st.sampled_from(
            ["trigger", "trigger", "trigger", "trigger", "command", "if changed", "found", "cancel", "pause", "resume"]
        )
    )
    def request(self, kind: str) -> None:
        if kind == "trigger":
            self.trigger()
        elif kind in ("command", "if changed"):
            self.newest = self.new_request()
            self.sim.command(self.newest, self.requests, if_changed=kind == "if changed")
        else:
            self.newest = ""
            self.sim.newest_commit = f"commit {self.requests}"
            events: dict[str, ev.Event] = {
                "found": ev.NewestFound(self.sim.newest_commit),
                "cancel": ev.CancelRequested("as a person asked"),
                "pause": ev.Paused(),
                "resume": ev.Resumed(),
            }
            self.sim.send(events[kind])

    @precondition(lambda self: any(one.runs for one in self.sim.containers.values()))
    @rule(data=st.data(), code=st.sampled_from([0, 1]))
    def exit(self, data: st.DataObject, code: int) -> None:
        running = sorted(number for number, one in self.sim.containers.items() if one.runs)
        self.sim.exit(data.draw(st.sampled_from(running)), code)

    @precondition(lambda self: self.sim.state.live)
    @rule(data=st.data())
    def unhealthy(self, data: st.DataObject) -> None:
        self.sim.send(ev.Unhealthy(data.draw(st.sampled_from(sorted(self.sim.state.live))), "port 80: refused"))

    @precondition(lambda self: self.ready_work())
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.ready_work()))
        self.sim.advance(work, lambda ways: data.draw(st.sampled_from(ways)))

    @precondition(lambda self: self.ready_work())
    @rule(steps=st.integers(1, 6), last=st.booleans())
    def go_on(self, *, steps: int, last: bool) -> None:
        """Work continues undisturbed for a while, the oldest or the newest first."""
        for _ in range(steps):
            ready = self.ready_work()
            if ready:
                self.sim.advance(ready[-1 if last else 0], lambda ways: ways[0])

    @precondition(lambda self: self.ready_work("attempt", "reinstate"))
    @rule(data=st.data(), steps=st.integers(1, 6))
    def bring_up(self, data: st.DataObject, steps: int) -> None:
        """One version comes up, or nearly."""
        work = data.draw(st.sampled_from(self.ready_work("attempt", "reinstate")))
        for _ in range(steps):
            if work in self.sim.work and not self.sim.is_blocked(work):
                self.sim.advance(work, lambda ways: ways[0])

    @precondition(lambda self: self.ready_work("attempt"))
    @rule(data=st.data())
    def engine_goes_away(self, data: st.DataObject) -> None:
        """One handover loses the engine, as far as it is not at its end."""
        work = data.draw(st.sampled_from(self.ready_work("attempt")))
        while work in self.sim.work and not self.sim.is_blocked(work):
            self.sim.advance(work, lambda ways: "engine" if "engine" in ways else ways[0])

    @precondition(lambda self: self.ready_work(draining=True))
    @rule(data=st.data())
    def connections_end(self, data: st.DataObject) -> None:
        """A drain is over: nothing else ends it."""
        self.sim.advance(data.draw(st.sampled_from(self.ready_work(draining=True))), lambda ways: ways[0])

    @precondition(lambda self: self.sim.state.live)
    @rule(code=st.sampled_from([0, 1]))
    def live_exits(self, code: int) -> None:
        for number in self.sim.state.live:
            if self.sim.containers[number].runs:
                self.sim.exit(number, code)
                break

    @precondition(lambda self: self.sim.timers)
    @rule(data=st.data())
    def time(self, data: st.DataObject) -> None:
        self.sim.fire(self.sim.timers[data.draw(st.integers(0, len(self.sim.timers) - 1))])

    @precondition(lambda self: self.requests > ENOUGH)
    @rule()
    def stop(self) -> None:
        self.sim.send(ev.StopRequested())

    @precondition(lambda self: self.sim.state.is_stopping and not self.sim.is_finished)
    @rule()
    def kill(self) -> None:
        self.sim.send(ev.KillRequested())

    @invariant()
    def every_version_is_attended(self) -> None:
        Life.steps += 1
        if not hasattr(self, "sim") or self.sim.is_finished:
            return
        for number in self.sim.state.versions:
            assert self.sim.is_attended(number), f"nothing will happen to {self.sim.state.versions[number]}"

    @invariant()
    def a_version_is_live_if_a_healthy_one_exists(self) -> None:
        if not hasattr(self, "sim") or self.sim.state.phase is not Phase.RUNNING:
            return
        state = self.sim.state
        if not state.live and not state.in_role(Role.REINSTATING) and state.standby_for is None:
            assert not [version for version in state.versions.values() if version.can_be_reinstated]

    @invariant()
    def what_is_wanted_is_on_its_way(self) -> None:
        if not hasattr(self, "sim") or self.sim.state.phase is not Phase.RUNNING:
            return
        state = self.sim.state
        is_timed = any(one.timer is ef.TimerKind.RESTART for one in self.sim.timers)
        if state.restarts.wanted is not None:
            assert is_timed or state.restarts.is_due or state.restart is not None, "a restart is forgotten"
        if not state.requests.is_empty:
            assert state.deploy is not None or state.is_engine_lost, "a request is forgotten"
        if state.deploy is None and not state.requests.is_paused and not state.is_engine_lost:
            assert state.requests.missed is None, "what was found is forgotten"
        for attempt in state.attempts:
            assert (attempt.number is None) <= state.is_engine_lost, "an attempt waits for nothing"
        if state.is_engine_lost:
            assert self.sim.works("engine")

    @invariant()
    def the_newest_request_is_the_last_one_tried(self) -> None:
        if not hasattr(self, "sim") or self.sim.state.phase is not Phase.RUNNING or not self.newest:
            return
        state = self.sim.state
        if state.deploy is None and state.requests.is_empty:
            tried = [
                report.attempt.request.reasons
                for report in self.sim.reports
                if isinstance(report, (ef.ReportLive, ef.ReportFailed, ef.ReportCancelled, ef.ReportUnchanged))
                and report.attempt.kind is Kind.DEPLOY
            ]
            # A commit that was found before comes after a trigger that means an older one.
            assert self.newest in tried[-1] or tried[-1][0].startswith("hookbot was away"), (self.newest, tried)

    def teardown(self) -> None:
        """A stop always finishes, though nothing else does, and leaves nothing, or what serves."""
        if not hasattr(self, "sim"):
            return
        sim = self.sim
        can_serve = {number for number in sim.state.live if sim.containers[number].runs}
        was_stopping = sim.state.is_stopping
        sim.is_silent = True
        sim.send(ev.StopRequested())
        for _ in range(MANY):
            if sim.is_finished:
                break
            ready = self.ready_work() + self.ready_work(draining=True)
            if ready:
                sim.advance(ready[0], lambda ways: "too late" if self.is_late and "too late" in ways else ways[0])
            else:
                returns = [one for one in sim.timers if one.timer is ef.TimerKind.REINSTATE]
                assert returns, f"the stop hangs: {sim.state} {sim.work}"
                sim.fire(returns[0])
        assert sim.is_finished, "the stop does not finish"
        for one in list(sim.work):
            if one in sim.work:
                sim.advance(one, lambda ways: ways[0])
        if not sim.policy.keep:
            assert (sim.containers, sim.routed) == ({}, None)
        elif can_serve and not was_stopping:
            assert sim.routed in sim.left
            assert sim.containers[sim.routed].runs
        Life.lives += 1
        Life.happened.update(sim.happened)


#: What a life must have led to for its promises to be worth something.
NEEDED = [
    *((kind.__name__, Phase.STARTING) for kind in (ev.Triggered, ev.Adopted, ev.AdoptionFailed, ev.StopRequested)),
    *(
        (kind.__name__, Phase.RUNNING)
        for kind in get_args(ev.Event)
        if kind not in (ev.Started, ev.Adopted, ev.AdoptionFailed, ev.AdoptionCancelled, ev.Swept, ev.KillRequested)
    ),
    *(
        (kind.__name__, phase)
        for kind in (
            ev.Flipped,
            ev.AttemptCancelled,
            ev.Exited,
            ev.Gone,
            ev.KillRequested,
            ev.Adopted,
        )
        for phase in (Phase.DETACHING, Phase.STOPPING)
    ),
    (ev.Swept.__name__, Phase.SWEEPING),
]


def test_whatever_happens_the_life_of_an_app_keeps_its_promises() -> None:
    Life.happened, Life.lives, Life.steps = Counter(), 0, 0
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    print(f"{Life.lives} lives, {Life.steps} steps, {Life.happened.total()} events:")
    for (name, phase), count in sorted(Life.happened.items(), key=lambda item: -item[1]):
        print(f"{count:7} {name} while {phase.value}")
    assert Life.lives >= LIVES
    missing = [need for need in NEEDED if not Life.happened[need]]
    assert missing == [], "no life has seen these"
