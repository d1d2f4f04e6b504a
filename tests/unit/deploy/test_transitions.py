"""Single steps in the life of an app: what an event changes, and what is to be done."""

from __future__ import annotations

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.requests import Command
from hanoverd.deploy.state import Phase, Policy, Role, State
from hanoverd.deploy.step import STABLE_AFTER
from hanoverd.deploy.targets import Source
from hanoverd.deploy.transitions import transition
from hanoverd.spec.restart import RestartPolicy
from tests.unit.deploy.simulation import recipe

ALWAYS = Policy(RestartPolicy("always"))


def after(*events: ev.Event, policy: Policy = ALWAYS) -> tuple[State, list[ef.Effect]]:
    """The state after these events, and all effects."""
    state = State(policy)
    effects: list[ef.Effect] = []
    for event in events:
        state, new = transition(state, event)
        effects += new
    return state, effects


def live(number: int) -> tuple[ev.Event, ...]:
    """The events that make a version live."""
    return (ev.Triggered(f"trigger {number}"), ev.Flipped(number, recipe(f"v{number}"), frozenset(range(number))))


#: An app without anything from before.
STARTED = (ev.Started(), ev.Adopted())


def revisions(effects: list[ef.Effect]) -> list[str | None]:
    """Of the deploys that were started."""
    targets = [one.attempt.request.target for one in effects if isinstance(one, ef.StartAttempt)]
    return [target.revision for target in targets if isinstance(target, Source)]


def restart_delays(effects: list[ef.Effect]) -> list[float]:
    """Of the restarts that were scheduled."""
    return [one.seconds for one in effects if isinstance(one, ef.StartTimer) and one.timer is ef.TimerKind.RESTART]


def test_a_restart_that_waits_for_the_engine_and_is_cancelled_is_tried_again() -> None:
    died = (ev.Exited(0, 1), ev.TimerExpired(ef.TimerKind.RESTART), ev.Gone(1), ev.EngineLost(1, "lost"))
    state, effects = after(*STARTED, *live(0), *died, ev.CancelRequested("as a person asked"))
    assert state.restart is None
    assert restart_delays(effects) == [0.1, 0.2]


def test_a_reinstatement_that_was_cancelled_too_late_is_not_live() -> None:
    returning = (*STARTED, *live(0), *live(1), ev.Exited(1, 1))
    state, _ = after(*returning)
    assert state.role(0) is Role.REINSTATING
    for gone in ((), (ev.Gone(0),)):
        state, effects = after(*returning, ev.StopRequested(), *gone, ev.Flipped(0, recipe("v0")))
        assert not state.live
        assert effects[-1] == ef.RemoveRoutes(0)


def test_while_paused_what_was_missed_is_deployed_after_what_was_held() -> None:
    _, effects = after(
        *STARTED,
        ev.Triggered("start"),
        ev.Obtained("W"),
        ev.Flipped(0, recipe("v0")),
        ev.Paused(),
        ev.Triggered("someone pushed X", "X"),
        ev.NewestFound("Y"),
        ev.Resumed(),
    )
    assert revisions(effects)[-1] == "Y"


def test_what_was_found_is_not_deployed_again_where_it_was_obtained() -> None:
    _, effects = after(
        *STARTED,
        ev.Triggered("start"),
        ev.Obtained("W"),
        ev.Flipped(0, recipe("v0")),
        ev.Paused(),
        ev.NewestFound("W"),
        ev.Resumed(),
    )
    assert revisions(effects) == [None]


def test_a_pause_of_before_holds_the_start_where_a_version_is_live() -> None:
    adopted = ev.Adopted(0, recipe("v0"), is_ready=True, next_number=1)
    state, effects = paused_before(adopted)
    assert revisions(effects) == []
    assert state.requests.held


def test_a_pause_of_before_does_not_keep_an_app_down() -> None:
    state, effects = paused_before(ev.Adopted())
    assert revisions(effects) == [None]
    assert state.requests.is_paused


def paused_before(adopted: ev.Adopted) -> tuple[State, list[ef.Effect]]:
    state = State(ALWAYS)
    state, _ = transition(state, ev.Paused())
    state, _ = transition(state, ev.Started())
    state, _ = transition(state, ev.Triggered("start"))
    state, effects = transition(state, adopted)
    assert state.phase is Phase.RUNNING
    return state, list(effects)


def test_an_order_of_before_the_start_is_not_replaced_by_triggers_that_were_held_earlier() -> None:
    command = Command("deploy web:2", Source("abc"), 7)
    state, effects = after(ev.Paused(), ev.Triggered("SIGHUP"), ev.CommandReceived(command), ev.Started(), ev.Adopted())
    [started] = [one.attempt.request for one in effects if isinstance(one, ef.StartAttempt)]
    assert started.command is command
    assert [held.reason for held in state.requests.held] == ["SIGHUP"]
    assert not [one for one in effects if isinstance(one, ef.ReportDropped)]


def test_a_replacement_of_an_unhealthy_version_is_proved_after_a_while_as_any_restart_is() -> None:
    state, effects = after(*STARTED, *live(0))
    assert ef.StartTimer(ef.TimerKind.STABLE, STABLE_AFTER, 0) in effects
    for number in range(1, 5):
        state, effects = unhealthy(state, number - 1)
        assert restart_delays(effects) == [0.1]
        state, _ = transition(state, ev.TimerExpired(ef.TimerKind.RESTART))
        state, effects = list_of(transition(state, ev.Flipped(number, recipe("v0"), frozenset([number - 1]))))
        assert ef.StartTimer(ef.TimerKind.STABLE, STABLE_AFTER, number) in effects
        state, _ = transition(state, ev.TimerExpired(ef.TimerKind.STABLE, number))
        assert state.restarts.count == 0


def test_complaints_while_a_restart_waits_start_no_second_timer() -> None:
    state, _ = after(*STARTED, *live(0))
    state, effects = unhealthy(state, 0)
    assert restart_delays(effects) == [0.1]
    for _ in range(3):
        state, effects = unhealthy(state, 0)
        assert effects == []


def unhealthy(state: State, number: int) -> tuple[State, list[ef.Effect]]:
    return list_of(transition(state, ev.Unhealthy(number, "port 80: refused")))


def list_of(result: tuple[State, tuple[ef.Effect, ...]]) -> tuple[State, list[ef.Effect]]:
    return result[0], list(result[1])
