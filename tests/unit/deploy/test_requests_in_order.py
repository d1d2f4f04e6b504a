"""Which handovers requests begin, and which they end: the newest request is the one that counts."""

from __future__ import annotations

from typing import TypeVar

import pytest

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.decisions import STOPS
from hanoverd.deploy.requests import NEWER, Command, Request, Requests
from hanoverd.deploy.state import Attempt, Kind, Policy, State
from hanoverd.deploy.targets import Image, Rollback, Source, Target
from hanoverd.deploy.transitions import OTHER_IS_LIVE, transition
from hanoverd.spec import container
from hanoverd.spec.container import ContainerSpec, Recipe
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.restart import RestartPolicy

E = TypeVar("E")

RECIPE = Recipe(container.Image("sha256:1", ImageName("app"), (ContainerPort(80),)), ContainerSpec())


class App:
    """The state of an app, and the handovers that it asked for.  A cancelled one ends at once, unless ``is_slow``."""

    def __init__(self) -> None:
        self.state = State(Policy(RestartPolicy("always")))
        self.started: list[Attempt] = []
        self.cancelled: list[str] = []
        self.dropped: list[tuple[str, str]] = []
        self.timers: list[ef.StartTimer] = []
        self.is_slow = False
        self.send(ev.Started())
        self.send(ev.Adopted())

    def send(self, event: ev.Event) -> None:
        """An event happens, and what it asks for is done."""
        self.state, effects = transition(self.state, event)
        for effect in effects:
            match effect:
                case ef.StartAttempt(attempt):
                    self.started.append(attempt)
                case ef.CancelAttempt(number, why):
                    self.cancelled.append(why)
                    if not self.is_slow:
                        self.is_cancelled(number)
                case ef.ReportDropped(command, why):
                    self.dropped.append((command.reason, why))
                case ef.StartTimer():
                    self.timers.append(effect)
                case _:
                    pass

    def is_cancelled(self, number: int) -> None:
        """The handover has ended, and its container is gone."""
        self.send(ev.Gone(number))
        self.send(ev.AttemptCancelled(number))

    def trigger(self, reason: str, revision: str | None = None) -> None:
        self.send(ev.Triggered(reason, revision))

    def request(self, reason: str, target: Target) -> None:
        self.send(ev.CommandReceived(Command(reason, target, 7)))

    def goes_live(self, kind: Kind = Kind.DEPLOY) -> int:
        """The handover of this kind succeeds; returns its number."""
        attempt = self.state.deploy if kind is Kind.DEPLOY else self.state.restart
        assert attempt is not None
        assert attempt.number is not None
        self.send(ev.Flipped(attempt.number, RECIPE, frozenset(self.state.live)))
        return attempt.number

    def fails(self) -> None:
        """The deploy fails."""
        assert self.state.deploy is not None
        assert self.state.deploy.number is not None
        number = self.state.deploy.number
        self.send(ev.Gone(number))
        self.send(ev.AttemptFailed(number, "failed"))

    def live_exits(self) -> None:
        """The live version exits, and the delay of its restart is over."""
        [number] = self.state.live
        self.send(ev.Exited(number, 1))
        self.send(ev.TimerExpired(ef.TimerKind.RESTART))

    @property
    def reasons(self) -> list[str]:
        return ["+".join(attempt.request.reasons) for attempt in self.started if attempt.kind is Kind.DEPLOY]

    @property
    def targets(self) -> list[Target]:
        return [attempt.request.target for attempt in self.started if attempt.kind is Kind.DEPLOY]


@pytest.fixture
def app() -> App:
    return App()


def test_a_trigger_begins_a_handover_and_a_newer_one_starts_it_again(app: App) -> None:
    app.trigger("a")
    app.trigger("b")
    assert app.reasons == ["a", "b"]
    assert app.cancelled == [NEWER]


def test_what_comes_while_a_handover_is_being_cancelled_waits_and_becomes_one(app: App) -> None:
    app.is_slow = True
    app.trigger("a")
    for reason in ("b", "c", "b"):
        app.trigger(reason)
    assert (app.reasons, app.cancelled) == (["a"], [NEWER])
    app.is_cancelled(0)
    assert app.reasons == ["a", "b+c"]


def test_a_handover_that_is_too_late_to_be_cancelled_is_followed_by_the_newer_one(app: App) -> None:
    app.is_slow = True
    app.trigger("a")
    app.trigger("b")
    app.goes_live()
    assert app.reasons == ["a", "b"]


def test_triggers_before_an_earlier_run_is_taken_over_become_one_handover() -> None:
    state = State(Policy(RestartPolicy("always")))
    for event in (ev.Started(), ev.Triggered("start"), ev.Triggered("SIGHUP")):
        state, effects = transition(state, event)
        assert not [effect for effect in effects if isinstance(effect, ef.StartAttempt)]
    _, effects = transition(state, ev.Adopted())
    [started] = [effect for effect in effects if isinstance(effect, ef.StartAttempt)]
    assert started.attempt.request == Request(("start", "SIGHUP"), Source())


def test_a_restart_goes_on_beside_a_deploy(app: App) -> None:
    app.trigger("start")
    app.goes_live()
    app.trigger("a", "abc")
    app.live_exits()
    assert [attempt.kind for attempt in app.state.attempts] == [Kind.DEPLOY, Kind.RESTART]
    # A newer request replaces the deploy, and leaves the restart alone.
    app.request("deploy", Image("x"))
    assert (app.reasons, app.cancelled) == (["start", "a", "deploy"], [NEWER])
    assert app.state.restart is not None
    assert not app.state.restart.cancelled


def test_a_restart_is_cancelled_when_another_version_goes_live(app: App) -> None:
    app.trigger("start")
    app.goes_live()
    app.trigger("a")
    app.live_exits()
    app.goes_live()
    assert app.cancelled == [OTHER_IS_LIVE]
    assert app.state.attempts == ()


def test_a_deploy_goes_on_when_a_restart_goes_live_first(app: App) -> None:
    app.trigger("start")
    app.goes_live()
    app.trigger("a")
    app.live_exits()
    restarted = app.goes_live(Kind.RESTART)
    assert (app.cancelled, list(app.state.live)) == ([], [restarted])
    deployed = app.goes_live()
    assert (list(app.state.live), app.reasons) == ([deployed], ["start", "a"])


def test_a_restart_that_was_cancelled_for_another_version_is_not_repeated(app: App) -> None:
    app.is_slow = True
    app.trigger("start")
    app.goes_live()
    app.trigger("a")
    app.live_exits()
    [number] = [attempt.number for attempt in app.state.attempts if attempt.kind is Kind.RESTART]
    app.goes_live()
    before = len(app.timers), len(app.started)
    assert number is not None
    app.is_cancelled(number)
    assert (len(app.timers), len(app.started)) == before


def test_a_revision_is_meant_by_later_triggers_too_and_an_order_is_for_once(app: App) -> None:
    app.trigger("hookbot", "abc")
    app.request("deploy", Image("web:2"))
    app.trigger("SIGHUP")
    app.request("rollback", Rollback(3))
    assert app.targets == [Source("abc"), Image("web:2"), Source("abc"), Rollback(3)]


def test_an_order_that_never_begins_is_reported(app: App) -> None:
    app.is_slow = True
    app.trigger("a")
    app.request("deploy x", Image("x"))
    app.request("deploy y", Image("y"))
    app.trigger("b")
    assert app.dropped == [("deploy x", NEWER), ("deploy y", NEWER)]
    app.is_cancelled(0)
    assert app.reasons == ["a", "b"]
    assert app.targets[-1] == Source()
    for _ in range(2):
        app.request("deploy z", Image("z"))
    app.send(ev.CancelRequested("requested"))
    assert app.dropped[2:] == [("deploy z", NEWER), ("deploy z", "requested")]
    assert app.state.deploy is not None
    assert app.state.deploy.number is not None
    app.is_cancelled(app.state.deploy.number)
    assert app.reasons == ["a", "b"]
    assert app.state.attempts == ()


def test_cancel_ends_the_handover_under_way_and_forgets_the_request_that_waits(app: App) -> None:
    app.send(ev.CancelRequested("requested"))
    assert app.cancelled == []
    app.is_slow = True
    app.trigger("a")
    app.trigger("b")
    app.send(ev.CancelRequested("requested"))
    app.is_cancelled(0)
    assert (app.reasons, app.cancelled, app.state.attempts) == (["a"], [NEWER], ())
    app.trigger("c")
    assert app.reasons == ["a", "c"]


def test_cancel_says_why(app: App) -> None:
    app.trigger("a")
    app.send(ev.CancelRequested("requested"))
    assert (app.cancelled, app.state.attempts) == (["requested"], ())


def test_a_restart_that_a_person_cancels_is_tried_again_as_the_policy_says(app: App) -> None:
    app.trigger("start")
    app.goes_live()
    app.live_exits()
    app.send(ev.CancelRequested("requested"))
    assert app.cancelled == ["requested"]
    assert [timer.seconds for timer in app.timers if timer.timer is ef.TimerKind.RESTART] == [0.1, 0.2]


def test_cancel_does_not_forget_a_restart_that_waits_for_its_delay(app: App) -> None:
    app.trigger("start")
    app.goes_live()
    app.send(ev.Exited(0, 1))
    app.send(ev.CancelRequested("requested"))
    app.send(ev.TimerExpired(ef.TimerKind.RESTART))
    assert [attempt.kind for attempt in app.started] == [Kind.DEPLOY, Kind.RESTART]


def test_while_paused_triggers_are_held_and_orders_and_restarts_are_not(app: App) -> None:
    app.request("deploy first", Source())
    app.goes_live()
    app.send(ev.Paused())
    app.trigger("a", "abc")
    app.trigger("b")
    app.send(ev.Paused())
    assert app.state.requests.is_paused
    assert [held.reason for held in app.state.requests.held] == ["a", "b"]
    assert app.reasons == ["deploy first"]
    app.request("deploy", Source())
    app.goes_live()
    app.live_exits()
    assert [attempt.kind for attempt in app.started] == [Kind.DEPLOY, Kind.DEPLOY, Kind.RESTART]
    app.goes_live(Kind.RESTART)
    app.send(ev.Resumed())
    # Together, for what the newest of them means.
    assert app.reasons[2:] == ["a+b"]
    assert app.targets[-1] == Source("abc")
    assert not app.state.requests.is_paused
    app.send(ev.Resumed())
    assert len(app.reasons) == 3


def test_what_is_held_is_reported_and_a_pause_is_remembered() -> None:
    app = App()
    app.trigger("start")
    app.goes_live()
    state, effects = transition(app.state, ev.Paused())
    assert ef.SavePause(is_paused=True) in effects
    state, effects = transition(state, ev.Triggered("a"))
    assert ef.ReportHeld("a") in effects
    _, effects = transition(state, ev.Resumed())
    assert ef.SavePause(is_paused=False) in effects


def test_what_was_missed_while_paused_is_made_up_for(app: App) -> None:
    app.trigger("start")
    app.send(ev.Obtained("abc"))
    app.goes_live()
    app.send(ev.Paused())
    app.send(ev.NewestFound("def"))
    assert app.reasons == ["start"]
    app.send(ev.Resumed())
    assert app.targets[1:] == [Source("def")]


def test_what_was_missed_begins_after_the_handover_under_way_unless_that_has_obtained_it(app: App) -> None:
    app.trigger("a")
    app.send(ev.NewestFound("abc"))
    assert app.reasons == ["a"]
    app.send(ev.Obtained("abc"))
    app.goes_live()
    assert app.reasons == ["a"]
    app.send(ev.NewestFound("def"))
    assert app.reasons[1:] == ["hookbot was away, and the source has changed: def"]
    assert app.targets[-1] == Source("def")


def test_what_was_missed_begins_after_a_handover_that_fails(app: App) -> None:
    app.trigger("a")
    app.send(ev.NewestFound("abc"))
    app.fails()
    assert app.targets == [Source(), Source("abc")]


def test_a_trigger_that_is_newer_than_what_was_found_takes_its_place(app: App) -> None:
    app.trigger("a")
    app.send(ev.NewestFound("abc"))
    app.trigger("b", "def")
    app.send(ev.Obtained("def"))
    app.goes_live()
    assert app.targets == [Source(), Source("def")]


def test_after_a_stop_nothing_begins(app: App) -> None:
    app.trigger("a")
    app.send(ev.StopRequested())
    assert app.cancelled == [STOPS]
    app.trigger("b")
    app.request("deploy x", Image("x"))
    assert (app.reasons, app.dropped) == (["a"], [("deploy x", STOPS)])


def test_the_queue_alone_tells_the_reasons_once_and_the_target_of_its_command() -> None:
    requests = Requests().add_trigger("a", "abc").add_trigger("b", None).add_trigger("a", None)
    assert requests.next_request() == Request(("a", "b"), Source("abc"))
    command = Command("deploy", Image("x"), 7)
    assert requests.add_command(command).next_request() == Request(("a", "b", "deploy"), Image("x"), command)
    assert requests.add_command(command).add_trigger("c", None).next_request() == Request(
        ("a", "b", "c"), Source("abc")
    )
    assert requests.cleared().is_empty
