"""Whether and when a live version that has exited is started again, in terms of ``transition``."""

from __future__ import annotations

from typing import TypeVar

import pytest

from hanoverd.deploy import effects as ef
from hanoverd.deploy import events as ev
from hanoverd.deploy.state import Kind, Policy, State
from hanoverd.deploy.step import STABLE_AFTER
from hanoverd.deploy.targets import Restart
from hanoverd.deploy.transitions import transition
from hanoverd.spec.container import ContainerSpec, Image, Recipe
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.restart import RestartPolicy

E = TypeVar("E")

RECIPE = Recipe(Image("sha256:1", ImageName("app"), (ContainerPort(80),)), ContainerSpec())


class App:
    """The state of an app, and what its last event brought about."""

    def __init__(self, policy: str = "always", most: int | None = None) -> None:
        self.state = State(Policy(RestartPolicy(policy, most)))
        self.effects: tuple[ef.Effect, ...] = ()
        self.send(ev.Started())
        self.send(ev.Adopted())
        self.send(ev.Triggered("start"))
        self.goes_live()

    def send(self, event: ev.Event) -> None:
        self.state, self.effects = transition(self.state, event)

    def goes_live(self) -> int:
        """The version that was started last goes live; returns its number."""
        number = self.state.next_number - 1
        self.send(ev.Flipped(number, RECIPE, frozenset(self.state.live)))
        return number

    def exits(self, code: int = 1) -> float | None:
        """The live version exits; returns the delay of its restart."""
        [number] = self.state.live
        self.send(ev.Exited(number, code))
        [cleaned_up] = self.of(ef.CleanUpDead)
        delays = [timer.seconds for timer in self.of(ef.StartTimer) if timer.timer is ef.TimerKind.RESTART]
        assert delays == ([] if cleaned_up.delay is None else [cleaned_up.delay])
        return cleaned_up.delay

    def is_due(self) -> list[ef.StartAttempt]:
        """The delay is over."""
        self.send(ev.TimerExpired(ef.TimerKind.RESTART))
        return self.of(ef.StartAttempt)

    def proves(self) -> None:
        """The live version has been live for long enough."""
        [number] = self.state.live
        self.send(ev.TimerExpired(ef.TimerKind.STABLE, number))

    def of(self, kind: type[E]) -> list[E]:
        """The effects of this kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]


def test_a_version_that_had_proved_itself_is_started_again_after_the_first_delay() -> None:
    app = App()
    delays = []
    for _ in range(12):
        app.proves()
        delays.append(app.exits())
        app.is_due()
        app.goes_live()
    assert delays == [0.1] * 12


def test_the_delays_grow_until_a_version_has_proved_itself() -> None:
    app = App()
    delays = []
    for _ in range(12):
        delays.append(app.exits())
        app.is_due()
        app.goes_live()
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0])
    app.proves()
    assert app.exits() == 0.1


def test_each_version_that_goes_live_has_ten_seconds_to_prove_itself() -> None:
    app = App()
    [timer] = app.of(ef.StartTimer)
    assert (timer.timer, timer.seconds, timer.number) == (ef.TimerKind.STABLE, STABLE_AFTER, 0)
    app.exits()
    app.is_due()
    app.goes_live()
    [timer] = app.of(ef.StartTimer)
    assert (timer.timer, timer.seconds, timer.number) == (ef.TimerKind.STABLE, STABLE_AFTER, 1)


def test_the_time_of_a_version_that_is_gone_proves_nothing_about_its_successor() -> None:
    app = App()
    app.exits()
    app.is_due()
    app.goes_live()
    app.send(ev.TimerExpired(ef.TimerKind.STABLE, 0))
    assert app.exits() == 0.2


def test_a_restart_that_fails_is_followed_by_the_next_after_a_longer_delay() -> None:
    app = App()
    assert app.exits() == 0.1
    for delay in (0.2, 0.4):
        [started] = app.is_due()
        assert started.attempt.number is not None
        app.send(ev.AttemptFailed(started.attempt.number, "not ready"))
        [failed] = app.of(ef.ReportFailed)
        assert failed.delay == delay


def test_a_restart_is_of_the_same_recipe() -> None:
    app = App()
    app.exits()
    [started] = app.is_due()
    assert (started.attempt.kind, started.attempt.request.target) == (Kind.RESTART, Restart(RECIPE))


def test_a_version_that_goes_live_makes_a_restart_needless() -> None:
    app = App()
    app.send(ev.Triggered("a deploy"))
    app.exits()
    app.goes_live()
    assert ef.CancelTimer(ef.TimerKind.RESTART) in app.effects
    # Were it too late for that, it would change nothing.
    assert app.is_due() == []
    assert app.exits() == 0.2
    assert len(app.is_due()) == 1


def test_the_policy_says_whether_there_is_one() -> None:
    assert App("no").exits() is None
    assert App("on-failure").exits(code=0) is None
    app = App("on-failure", most=2)
    for delay in (0.1, 0.2):
        assert app.exits() == delay
        app.is_due()
        app.goes_live()
    assert app.exits() is None
    assert app.is_due() == []
