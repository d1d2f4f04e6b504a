"""The orchestrator: events one after the other, effects in their order, work in the reactor's next turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy import orchestrator as module
from hanoverd.deploy.history import History
from hanoverd.deploy.orchestrator import ENGINE_WAIT_AT_STOP, Orchestrator, Parts
from hanoverd.deploy.state import Attempt, Phase, Policy, State
from hanoverd.deploy.targets import Image
from hanoverd.spec.restart import RestartPolicy
from tests.unit.deploy.simulation import recipe
from tests.unit.deploy.table import app, command, deploy, draining, live, reinstating, stopping


class DummyWork:
    """Notes what it is asked for; work continues until ``finish``, and says when it is cancelled."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.running: dict[str, Deferred[None]] = {}
        #: Called where work is cancelled.
        self.on_cancelled: Callable[[str], object] = lambda _name: None
        #: Called with each report.
        self.on_report: Callable[[ef.Effect], object] = lambda _effect: None

    async def _work(self, name: str) -> None:
        self.events.append(name)
        self.running[name] = Deferred()
        try:
            await self.running[name]
        except CancelledError:
            self.events.append(f"{name} cancelled")
            self.on_cancelled(name)

    def finish(self, name: str) -> None:
        self.running.pop(name).callback(None)


class DummyHandovers(DummyWork):
    """Adoption, handovers, reinstatements, and the wait for the engine."""

    async def adopt(self) -> None:
        await self._work("adopt")

    async def hand_over(self, attempt: Attempt, number: int) -> None:
        await self._work(f"hand over {number}")

    async def reinstate(self, number: int) -> None:
        await self._work(f"reinstate {number}")

    async def wait_for_engine(self) -> None:
        await self._work("wait for engine")


class DummyRetirement(DummyWork):
    """Drains, stops and detaches."""

    async def retire(self, number: int, *, drain: bool, keep: bool) -> None:
        await self._work(f"retire {number} {'drain ' * drain}{'keep' * keep}".strip())

    async def detach(self, number: int, *, serves: bool) -> None:
        self.events.append(f"detach {number}{' serves' * serves}")

    def end_drain(self, number: int) -> None:
        self.events.append(f"end drain {number}")

    def kill(self) -> None:
        self.events.append("kill what stops")

    def give_up_after(self, seconds: float) -> None:
        self.events.append(f"give up after {seconds}")


class DummyRemovals(DummyWork):
    """Removes and prunes."""

    async def clean_up_dead(self, effect: ef.CleanUpDead) -> None:
        await self._work(f"clean up {effect.number}")

    async def remove_version(self, number: int) -> None:
        await self._work(f"remove {number}")

    async def remove_routes(self, number: int | None) -> None:
        self.events.append(f"remove routes {number}")

    async def prune(self) -> None:
        self.events.append("prune")

    async def sweep(self) -> None:
        await self._work("sweep")

    async def close(self) -> None:
        self.events.append("close")

    def kill(self) -> None:
        self.events.append("kill removals")


class DummyReports(DummyWork):
    """Notes what is reported and saved."""

    def started(self, attempt: Attempt) -> None:
        self.events.append(f"started {attempt.number}")

    def report(self, effect: ef.Effect) -> None:
        self.events.append(type(effect).__name__)
        self.on_report(effect)

    def use(self, number: int) -> None:
        """A number is saved in its own test."""

    def save(self, *, is_paused: bool) -> None:
        self.events.append(f"save pause {is_paused}")


class Running:
    """An orchestrator, and its dummy neighbours."""

    def __init__(self, state: State) -> None:
        self.events: list[str] = []
        self.clock = Clock()
        self.orchestrator = Orchestrator(self.clock, state, History(lambda: 0.0, self.clock.seconds))
        handovers: Any = DummyHandovers(self.events)
        retirement: Any = DummyRetirement(self.events)
        removals: Any = DummyRemovals(self.events)
        reports: Any = DummyReports(self.events)
        self.handovers, self.removals, self.reports = handovers, removals, reports
        self.orchestrator.parts = Parts(
            adoption=handovers,
            handovers=handovers,
            retirement=retirement,
            retention=removals,
            removals=removals,
            stopper=retirement,
            reporter=reports,
            pause_file=reports,
            numbers=reports,
        )
        self.send = self.orchestrator.send

    def turn(self) -> list[str]:
        """The next turn of the reactor; returns the events since the last one."""
        self.clock.advance(0)
        return self.news()

    def news(self) -> list[str]:
        """The events since the last time."""
        events = list(self.events)
        self.events.clear()
        return events

    def stop(self) -> list[str]:
        """Ask for a stop; the list gets a line when it is over."""
        over: list[str] = []
        Deferred.fromCoroutine(self.orchestrator.stop()).addCallback(lambda _: over.append("stopped"))
        return over


def parts(*versions: Any, **more: Any) -> Running:
    return Running(app(*versions, **more))


# -- events


def test_the_start_takes_over_what_was_left() -> None:
    it = Running(State(Policy(RestartPolicy("no"))))
    it.orchestrator.start()
    assert it.turn() == ["adopt"]


def test_an_event_that_is_sent_while_another_is_handled_waits_for_its_turn() -> None:
    it = parts(live(), is_engine_lost=False)
    phases: list[tuple[str, bool]] = []

    def report(effect: ef.Effect) -> None:
        it.send(ev.Paused())
        # Not handled yet.
        phases.append((type(effect).__name__, it.orchestrator.state.requests.is_paused))

    it.reports.on_report = report
    it.send(ev.Unhealthy(1, "refused"))
    assert phases == [("ReportUnhealthy", False)]
    assert it.orchestrator.state.requests.is_paused
    # All effects of the first come before those of the second.
    assert it.news() == ["ReportUnhealthy", "save pause True"]


def test_a_trigger_a_command_and_a_commit_that_was_found_are_events() -> None:
    it = parts(phase=Phase.STARTING)
    it.orchestrator.trigger("push", "c1")
    it.orchestrator.newest_found("c2")
    assert it.orchestrator.request("as a person asked", Image("app:2")) == 1
    assert it.orchestrator.request("as a person asked", Image("app:3")) == 2
    requests = it.orchestrator.state.requests
    assert (requests.reasons, requests.revision, requests.missed) == (("push",), "c1", "c2")
    assert requests.command == replace(command(2), target=Image("app:3"))
    assert it.news() == ["ReportDropped"]


# -- work


def test_work_starts_in_the_next_turn() -> None:
    it = parts(live())
    it.send(ev.Triggered("push"))
    assert it.news() == ["started 20"]
    assert it.turn() == ["hand over 20"]


def test_a_cancel_reaches_work_that_is_under_way() -> None:
    it = parts(live())
    it.send(ev.Triggered("push"))
    it.turn()
    it.send(ev.CancelRequested("as asked"))
    assert it.news() == ["hand over 20 cancelled"]


def test_a_cancel_before_its_start_reaches_the_work_all_the_same() -> None:
    it = parts(live())
    it.send(ev.Triggered("push"))
    it.send(ev.CancelRequested("as asked"))
    assert it.news() == ["started 20"]
    # It starts, so that it can say what came of it.
    assert it.turn() == ["hand over 20", "hand over 20 cancelled"]


def test_work_that_is_over_can_be_cancelled_without_effect() -> None:
    it = parts(live())
    it.send(ev.Triggered("push"))
    it.turn()
    it.handovers.finish("hand over 20")
    it.send(ev.CancelRequested("as asked"))
    assert it.turn() == []


def test_a_cancel_means_the_newest_work_of_a_version() -> None:
    it = parts(live(1), draining(2))
    it.send(ev.Exited(1, 1))
    it.turn()
    # The first return is not over when the next one starts.
    it.send(ev.ReinstatementFailed(2, "not ready"))
    it.send(ev.TimerExpired(ef.TimerKind.REINSTATE, 2))
    it.news()
    assert it.turn() == ["reinstate 2"]
    it.send(ev.StopRequested())
    assert it.news().count("reinstate 2 cancelled") == 1


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        (app(draining(1), stopping(9)), ev.Gone(9), ["end drain 1", "prune", "reinstate 1"]),
        (app(draining(1)), ev.StopRequested(), ["end drain 1"]),
        (app(live()), ev.StopRequested(), ["remove routes 1", "retire 1"]),
        (
            app(live(), policy=Policy(RestartPolicy("no"), keep=True)),
            ev.StopRequested(),
            ["end drain 1", "detach 1 serves"],
        ),
        (app(live()), ev.Exited(1, 1), ["remove routes 1", "clean up 1"]),
        (app(live()), ev.KillRequested(), ["kill what stops", "kill removals"]),
        (app(live()), ev.Paused(), ["save pause True"]),
        (
            app(reinstating(1)),
            ev.ReinstatementFailed(1, "gone", is_gone=True),
            ["ReportReinstatementFailed", "remove 1"],
        ),
        (app(stopping(1), phase=Phase.STOPPING), ev.Gone(1), ["prune", "sweep"]),
        (app(live(), phase=Phase.STARTING), ev.Adopted(draining=((2, True),)), ["retire 2 drain keep"]),
        (app(attempts=[deploy()]), ev.EngineLost(2, "lost"), ["ReportEngineLost", "wait for engine"]),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, ev.Event) else "",
)
def test_each_effect_is_done(state: State, event: ev.Event, expected: list[str]) -> None:
    it = Running(state)
    it.send(event)
    assert it.turn() == expected


def test_the_wait_for_the_engine_is_cancelled_by_a_stop() -> None:
    it = parts(attempts=[deploy()])
    it.send(ev.EngineLost(2, "lost"))
    it.turn()
    it.send(ev.StopRequested())
    assert it.news() == ["wait for engine cancelled", "ReportCancelled"]


def test_the_take_over_is_cancelled_by_a_stop() -> None:
    it = Running(State(Policy(RestartPolicy("no"))))
    it.orchestrator.start()
    it.turn()
    it.handovers.on_cancelled = lambda _name: it.send(ev.AdoptionCancelled())
    it.send(ev.StopRequested())
    assert it.turn() == ["adopt cancelled", "sweep"]


def test_a_reinstatement_is_cancelled_by_a_stop() -> None:
    it = parts(draining(1), stopping(9))
    it.send(ev.Gone(9))
    it.turn()
    it.send(ev.StopRequested())
    assert it.turn() == ["reinstate 1 cancelled", "retire 1"]


# -- time


def test_a_timer_sends_its_event_when_it_runs_out() -> None:
    it = parts(live(), policy=Policy(RestartPolicy("always")))
    it.send(ev.Exited(1, 1))
    it.turn()
    it.clock.advance(0.09)
    assert it.orchestrator.state.restart is None
    it.clock.advance(0.02)
    assert it.turn() == ["started 20", "hand over 20"]


def test_a_timer_replaces_one_of_its_kind_and_version() -> None:
    it = parts(attempts=[deploy()])
    it.send(ev.AttemptFailed(2, "it exited"))
    for number in (1, 1, 2):
        it.orchestrator._run(ef.StartTimer(ef.TimerKind.STABLE, 10.0, number))
        it.clock.advance(1.0)
    assert len(it.clock.getDelayedCalls()) == 2


def test_a_timer_that_is_cancelled_sends_nothing() -> None:
    it = parts(live(2), live(1), attempts=[deploy(3)])
    it.orchestrator.state = it.orchestrator.state.with_version(replace(live(3), number=3))
    it.orchestrator._run(ef.StartTimer(ef.TimerKind.RESTART, 5.0))
    it.send(ev.Flipped(3, recipe("v3")))
    assert [call.getTime() for call in it.clock.getDelayedCalls() if call.getTime() == 5.0] == []
    # It may be cancelled again.
    it.orchestrator._run(ef.CancelTimer(ef.TimerKind.RESTART))


# -- bugs


def test_an_exception_in_a_transition_is_logged_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    it = parts(live())

    def broken(_state: State, _event: ev.Event) -> Any:
        raise ZeroDivisionError

    with capturedLogs() as logged, monkeypatch.context() as patch:
        patch.setattr(module, "transition", broken)
        it.send(ev.Triggered("push"))
    [line] = logged
    assert line["log_failure"].check(ZeroDivisionError)
    assert (line["event"], line["what"]) == ("internal_error", ev.Triggered("push"))
    it.send(ev.Triggered("push"))
    assert it.turn() == ["started 20", "hand over 20"]


def test_an_exception_in_an_effect_is_logged_and_the_others_are_done() -> None:
    it = parts(attempts=[deploy()])

    def broken(_effect: ef.Effect) -> None:
        raise ZeroDivisionError

    it.reports.on_report = broken
    with capturedLogs() as logged:
        it.send(ev.EngineLost(2, "lost"))
    [line] = logged
    assert line["log_failure"].check(ZeroDivisionError)
    assert it.turn() == ["ReportEngineLost", "wait for engine"]


def test_an_exception_in_a_worker_is_logged_and_ends_nothing() -> None:
    it = parts(live())
    it.send(ev.Triggered("push"))
    it.turn()
    with capturedLogs() as logged:
        it.handovers.running["hand over 20"].errback(ZeroDivisionError())
    [line] = logged
    assert line["log_failure"].check(ZeroDivisionError)
    it.send(ev.Paused())
    assert it.news() == ["save pause True"]


# -- the stop


@dataclass
class Stopped:
    """A stop in progress that waits for the removal of what is left."""

    it: Running
    over: list[str]


def stopping_parts() -> Stopped:
    it = parts()
    over = it.stop()
    assert it.turn() == [f"give up after {ENGINE_WAIT_AT_STOP}", "sweep"]
    return Stopped(it, over)


def sweep(stopped: Stopped) -> None:
    stopped.it.send(ev.Swept())
    stopped.it.removals.finish("sweep")


def test_a_stop_is_over_when_all_work_is() -> None:
    stopped = stopping_parts()
    stopped.it.send(ev.Swept())
    assert (stopped.over, stopped.it.news()) == ([], [])
    stopped.it.removals.finish("sweep")
    assert (stopped.over, stopped.it.news()) == (["stopped"], ["close"])


def test_a_stop_that_is_asked_for_twice_happens_once() -> None:
    stopped = stopping_parts()
    again = stopped.it.stop()
    assert stopped.it.turn() == []
    sweep(stopped)
    assert (stopped.over, again, stopped.it.news()) == (["stopped"], ["stopped"], ["close"])
    assert stopped.it.stop() == ["stopped"]
    assert stopped.it.news() == []


def test_a_stop_ignores_cancellation() -> None:
    stopped = stopping_parts()
    over: list[object] = []
    again = Deferred.fromCoroutine(stopped.it.orchestrator.stop()).addBoth(over.append)
    again.cancel()
    assert over == []
    sweep(stopped)
    assert over == [None]


def test_a_stop_cancels_all_timers() -> None:
    it = parts(live(), phase=Phase.STARTING)
    it.orchestrator._run(ef.StartTimer(ef.TimerKind.STABLE, 10.0, 1))
    it.orchestrator.state = app(phase=Phase.SWEEPING)
    over = it.stop()
    it.send(ev.Swept())
    assert over == ["stopped"]
    assert it.clock.getDelayedCalls() == []


def test_a_kill_kills_what_is_being_stopped_and_gives_up_removals() -> None:
    stopped = stopping_parts()
    stopped.it.orchestrator.kill()
    assert stopped.it.news() == ["kill what stops", "kill removals"]
    sweep(stopped)


def test_nothing_happens_after_the_end() -> None:
    stopped = stopping_parts()
    sweep(stopped)
    stopped.it.news()
    stopped.it.orchestrator.trigger("push")
    stopped.it.orchestrator.kill()
    assert stopped.it.turn() == []
