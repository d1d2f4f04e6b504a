"""Whatever happens to an app, in whatever order: the life of it keeps its promises (Hypothesis, rule-based)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.state import Kind, Phase, Policy, Role
from hanoverd.model.restart import RestartPolicy
from tests.unit.deploy.simulation import Simulation

#: More steps than any stop needs.
MANY = 400


class Life(RuleBasedStateMachine):
    """Random events, and work under way that ends at random."""

    sim: Simulation

    @initialize(
        overlap=st.booleans(),
        keep=st.booleans(),
        settle=st.sampled_from([0.0, 30.0]),
        restart=st.sampled_from([RestartPolicy("always"), RestartPolicy("no"), RestartPolicy("on-failure", 2)]),
    )
    def start(self, *, overlap: bool, keep: bool, settle: float, restart: RestartPolicy) -> None:
        self.sim = Simulation(Policy(restart, settle, overlap, keep))
        self.requests = 0
        self.newest = ""
        self.sim.send(ev.Started())
        self.trigger()

    def new_request(self) -> str:
        self.requests += 1
        return f"request {self.requests}"

    def trigger(self) -> None:
        reason = self.new_request()
        is_held = self.sim.state.requests.is_paused
        self.sim.send(ev.Triggered(reason))
        if not is_held:
            self.newest = reason

    @rule(kind=st.sampled_from(["trigger", "trigger", "order", "found", "cancel", "pause", "resume"]))
    def request(self, kind: str) -> None:
        if kind == "trigger":
            self.trigger()
        elif kind == "order":
            self.newest = self.new_request()
            self.sim.order(self.newest, self.requests)
        else:
            self.newest = ""
            self.sim.send(
                {
                    "found": ev.Found(f"commit {self.requests}"),
                    "cancel": ev.CancelRequested("as a person asked"),
                    "pause": ev.Paused(),
                    "resume": ev.Resumed(),
                }[kind]
            )

    @precondition(lambda self: any(one.runs for one in self.sim.containers.values()))
    @rule(data=st.data(), code=st.sampled_from([0, 1]))
    def exit(self, data: st.DataObject, code: int) -> None:
        running = sorted(number for number, one in self.sim.containers.items() if one.runs)
        self.sim.exit(data.draw(st.sampled_from(running)), code)

    @precondition(lambda self: self.sim.state.live)
    @rule(data=st.data())
    def unhealthy(self, data: st.DataObject) -> None:
        self.sim.send(ev.Unhealthy(data.draw(st.sampled_from(sorted(self.sim.state.live))), "port 80: refused"))

    @precondition(lambda self: self.sim.work)
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        work = self.sim.work[data.draw(st.integers(0, len(self.sim.work) - 1))]
        self.sim.advance(work, lambda ways: data.draw(st.sampled_from(ways)))

    @precondition(lambda self: self.sim.work)
    @rule(steps=st.integers(1, 6), last=st.booleans())
    def go_on(self, *, steps: int, last: bool) -> None:
        """Work goes on undisturbed for a while, the oldest or the newest first."""
        for _ in range(steps):
            if self.sim.work:
                self.sim.advance(self.sim.work[-1 if last else 0], lambda ways: ways[0])

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

    @precondition(lambda self: self.requests > 1)
    @rule()
    def stop(self) -> None:
        self.sim.send(ev.StopRequested())

    @precondition(lambda self: self.sim.state.is_stopping)
    @rule()
    def kill(self) -> None:
        self.sim.send(ev.KillRequested())

    @invariant()
    def every_version_is_attended(self) -> None:
        if not hasattr(self, "sim") or self.sim.is_finished:
            return
        for number in self.sim.state.versions:
            assert self.sim.is_attended(number), f"nothing will happen to {self.sim.state.versions[number]}"

    @invariant()
    def a_version_is_live_if_a_healthy_one_exists(self) -> None:
        if not hasattr(self, "sim") or self.sim.state.phase is not Phase.RUNNING:
            return
        state = self.sim.state
        if not state.live and not state.in_role(Role.RETURNING) and state.room_for is None:
            assert not [version for version in state.versions.values() if version.may_return]

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
        if state.is_engine_lost:
            assert any(one.name == "engine" for one in self.sim.work)

    @invariant()
    def the_newest_request_is_the_last_one_tried(self) -> None:
        if not hasattr(self, "sim") or self.sim.state.phase is not Phase.RUNNING or not self.newest:
            return
        state = self.sim.state
        if state.deploy is None and state.requests.is_empty:
            tried = [
                report.attempt.request.reasons
                for report in self.sim.reports
                if isinstance(report, (ef.ReportLive, ef.ReportFailed, ef.ReportCancelled))
                and report.attempt.kind is Kind.DEPLOY
            ]
            # A commit that was found before comes after a trigger that means an older one.
            assert self.newest in tried[-1] or tried[-1][0].startswith("hookbot was away"), (self.newest, tried)

    @invariant()
    def nothing_follows_the_end(self) -> None:
        if hasattr(self, "sim") and self.sim.is_finished:
            assert not self.sim.state.attempts
            assert not self.sim.state.in_role(*(set(Role) - {Role.KEPT}))

    def teardown(self) -> None:
        """A stop always finishes, and leaves nothing, or what serves."""
        if not hasattr(self, "sim"):
            return
        sim = self.sim
        was_live = [number for number in sim.state.live if sim.containers[number].runs]
        was_stopping = sim.state.is_stopping
        sim.send(ev.StopRequested())
        for _ in range(MANY):
            if sim.is_finished:
                break
            if sim.work:
                sim.advance(sim.oldest, lambda ways: ways[0])
            else:
                returns = [one for one in sim.timers if one.timer is ef.TimerKind.RETURN]
                assert returns, f"the stop hangs: {sim.state}"
                sim.fire(returns[0])
        assert sim.is_finished, "the stop does not finish"
        if not sim.policy.keep:
            assert (sim.containers, sim.routed) == ({}, None)
        elif was_live and not was_stopping:
            assert set(was_live) <= sim.left
            assert sim.routed in was_live
        for one in list(sim.work):
            sim.advance(one, lambda ways: ways[0])


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=1000,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
