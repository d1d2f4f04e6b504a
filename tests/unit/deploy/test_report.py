"""What people and programs hear of the life of an app: log lines, the history, and hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs

from hanoverd.deploy import effects as ef
from hanoverd.deploy.history import History
from hanoverd.deploy.phases import Phases
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.requests import Command, Request
from hanoverd.deploy.state import Attempt, Kind
from hanoverd.deploy.targets import Source
from hanoverd.logs.formats import is_noise
from hanoverd.network.routes import Live
from hanoverd.spec import events as public
from tests.unit.deploy.dummies import RECIPE, container, running, texts
from tests.unit.deploy.table import app, deploy

COMMAND = Command("as a person asked", Source(), 1)


class DummyVersions:
    app = "app"

    def __init__(self) -> None:
        self.known = {1: running(1)}

    def container(self, number: int) -> Any:
        return replace(container(number), id="")

    def running(self, number: int) -> Any:
        return self.known.get(number)


class DummyRoutes:
    def __init__(self) -> None:
        self.live: tuple[Live, ...] = (Live(running(1)),)

    def describe(self, _live: Live) -> str:
        return "8080 -> 80"


def notified(logged: Sequence[LogEvent]) -> list[public.Event]:
    """The events for hooks among what was logged."""
    return [event[public.LIFECYCLE] for event in logged if public.LIFECYCLE in event]


class Parts:
    """A reporter, and its dummy neighbours."""

    def __init__(self) -> None:
        self.clock = Clock()
        #: The events of the ends of handovers.
        self.ended: list[LogEvent] = []
        self.history = History(lambda: 1000.0, self.clock.seconds)
        self.routes = DummyRoutes()
        #: The events for hooks.
        self.notified: list[public.Event] = []
        state = app()
        neighbours: list[Any] = [DummyVersions(), self.routes]
        versions, routes = neighbours
        self.reporter = Reporter(self.clock, versions, routes, self.history, lambda: state)

    def start(self, attempt: Attempt) -> Attempt:
        with capturedLogs() as logged:
            self.reporter.started(attempt)
        [line] = texts(logged)
        assert line.startswith("app: handover ")
        assert line.endswith(f": {', '.join(attempt.request.reasons)}")
        return attempt

    def report(self, effect: ef.Effect) -> list[tuple[str, str]]:
        """Report, and return what is logged then."""
        with capturedLogs() as events:
            self.reporter.report(effect)
        self.ended += [event for event in events if event["event"] == "handover_ended"]
        self.notified += notified(events)
        logged = [event for event in events if not is_noise(event)]
        levels = [event["log_level"] for event in logged]
        return [
            ("error" if level is LogLevel.error else "info", text)
            for level, text in zip(levels, texts(logged), strict=True)
        ]

    def outcomes(self) -> list[tuple[int, str, str]]:
        return [(record.id, record.outcome, record.why) for record in self.history]


# -- the history


def test_a_handover_is_recorded_from_its_start() -> None:
    it = Parts()
    it.start(deploy())
    assert it.outcomes() == [(1, "under way", "")]


def test_a_handover_that_a_person_asked_for_has_the_id_that_the_person_knows() -> None:
    it = Parts()
    assert [it.history.reserve_number(), it.history.reserve_number()] == [1, 2]
    it.start(deploy(request=Request(("asked",), Source(), COMMAND)))
    assert it.outcomes() == [(1, "under way", "")]


def test_a_handover_that_starts_again_after_the_engine_was_lost_is_one_record() -> None:
    it = Parts()
    it.start(deploy())
    it.start(deploy(3, losses=1))
    [record] = it.history
    assert record.losses == 1


def test_a_handover_that_succeeds_is_recorded_with_its_time() -> None:
    it = Parts()
    it.start(deploy())
    it.clock.advance(2.5)
    assert it.report(ef.ReportLive(deploy())) == []
    [record] = it.history
    assert (record.outcome, record.took) == ("live", 2.5)


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        (ef.ReportLive(deploy()), "live"),
        (ef.ReportFailed(deploy(), 2, "exited with code 3", 1, None), "failed"),
        (ef.ReportCancelled(deploy(cancelled="as asked")), "cancelled"),
        (ef.ReportUnchanged(deploy(), 1), "unchanged"),
    ],
)
def test_the_end_of_a_handover_is_an_event_with_its_record(effect: ef.Effect, outcome: str) -> None:
    it = Parts()
    it.start(deploy())
    it.report(effect)
    [event] = it.ended
    [record] = it.history
    assert (event["handover"], event["outcome"], event["record"]) == (1, outcome, record.json())


def test_the_end_of_an_order_that_never_started_is_an_event() -> None:
    it = Parts()
    it.history.reserve_number()
    it.report(ef.ReportDropped(COMMAND, "hanoverd is stopping"))
    assert [(event["handover"], event["outcome"]) for event in it.ended] == [(1, "cancelled")]


def test_a_handover_that_is_cancelled_is_recorded_with_the_reason() -> None:
    it = Parts()
    attempt = it.start(deploy())
    logged = it.report(ef.ReportCancelled(replace(attempt, cancelled="replaced by a newer request")))
    assert logged == [("info", "app: handover cancelled: replaced by a newer request")]
    assert it.outcomes() == [(1, "cancelled", "replaced by a newer request")]


def test_an_order_that_never_started_is_recorded_as_cancelled() -> None:
    it = Parts()
    it.history.reserve_number()
    assert it.report(ef.ReportDropped(COMMAND, "hanoverd is stopping")) == []
    assert it.outcomes() == [(1, "cancelled", "hanoverd is stopping")]


def test_two_handovers_have_a_record_each() -> None:
    it = Parts()
    first = it.start(deploy())
    second = it.start(Attempt(8, Kind.RESTART, first.request, 3))
    it.report(ef.ReportCancelled(replace(first, cancelled="as asked")))
    it.report(ef.ReportLive(second))
    assert [outcome for _, outcome, _ in it.outcomes()] == ["cancelled", "live"]


# -- failures


@pytest.mark.parametrize(
    ("serving", "delay", "last"),
    [
        (1, None, "app: app-1 serves; waiting for the next trigger"),
        (None, None, "app: no version is live; waiting for the next trigger"),
        (None, 0.4, "app: no version is live; restarting the same image in 400ms"),
    ],
)
def test_a_failure_is_logged_with_what_serves_and_what_comes_next(
    serving: int | None, delay: float | None, last: str
) -> None:
    it = Parts()
    attempt = it.start(deploy())
    logged = it.report(ef.ReportFailed(attempt, 2, "exited with code 3", serving, delay))
    assert logged == [("error", "app-2: failed: exited with code 3"), ("info", last)]
    assert it.outcomes() == [(1, "failed", "exited with code 3")]


def test_a_failure_is_an_event_for_hooks_with_the_image_as_far_as_it_is_known() -> None:
    it = Parts()
    attempt = it.start(deploy())
    with capturedLogs():
        it.reporter.phases(attempt, container(2)).obtained(RECIPE.image)
    it.report(ef.ReportFailed(attempt, 2, "it exited", 1, None))
    assert it.notified == [
        public.Event(
            public.FAILED,
            "app",
            new=public.VersionReference("app-2"),
            old=public.VersionReference("app-1", "id-1"),
            image=RECIPE.image.name.reference,
            image_id="sha256:1",
            reason="it exited",
        )
    ]


def test_what_a_handover_reports_is_an_event_for_hooks() -> None:
    it = Parts()
    attempt = it.start(deploy())
    it.routes.live = ()
    with capturedLogs() as logged:
        it.reporter.phases(attempt, container(1)).obtained(RECIPE.image)
        it.routes.live = (Live(running(1)),)
        it.reporter.live(Live(running(1)), (), 0.5)
        it.reporter.live(Live(running(1)), (Live(running(0)),), 0.5)
        it.reporter.retired(container(0), 2, 1.5, 0.1, is_kept=True)
        it.reporter.retired(container(0), 2, 1.5, 0.1, is_kept=False)
    new, old = public.VersionReference("app-1", "id-1"), public.VersionReference("app-0", "id-0")
    assert [(event.kind, event.new, event.old) for event in notified(logged)] == [
        (public.OBTAINED, container(1).version_reference, None),
        (public.LIVE, new, None),
        (public.LIVE, new, old),
        (public.DRAINED, old, new),
        (public.DRAINED, old, new),
    ]
    assert [event["event"] for event in logged] == ["obtained", "live", "live", "kept", "removed"]


def test_a_live_version_that_exits_is_logged_and_an_event_for_hooks() -> None:
    it = Parts()
    it.routes.live = ()
    with capturedLogs() as logged:
        it.reporter.died(running(1), "exited with code 3", "; its last line: …", ef.CleanUpDead(1, 3, None, 0.1))
    assert texts(logged) == [
        "app-1: exited with code 3 while it was live; its last line: …",
        "app: no version is live; restarting the same image in 100ms",
    ]
    [event] = notified(logged)
    assert (event.kind, event.new, event.old) == (public.DIED, public.VersionReference("app-1", "id-1"), None)
    assert event.reason == "exited with code 3; its last line: …"


def test_a_live_version_that_exits_is_logged_with_the_one_that_takes_its_place() -> None:
    it = Parts()
    with capturedLogs() as logged:
        it.reporter.died(running(2), "exited with code 3", "", ef.CleanUpDead(2, 3, 1, None))
    assert texts(logged) == [
        "app-2: exited with code 3 while it was live",
        "app: app-1 serves; waiting for the next trigger",
    ]


@pytest.mark.parametrize(
    ("effect", "line"),
    [
        (
            ef.ReportEngineLost(deploy(None), "refused"),
            "app: engine lost: refused; the handover starts again when it is back",
        ),
        (
            ef.ReportUnhealthy(1, "refused", None, 0.2),
            "app-1: unhealthy: refused; restarting the same image in 200ms",
        ),
        (
            ef.ReportReinstatementFailed(1, "iptables", 0.4),
            "app-1: cannot be made live again: iptables; retrying in 400ms",
        ),
        (
            ef.ReportReinstatementFailed(1, "iptables", None),
            "app-1: cannot be made live again: iptables; not retried",
        ),
        (
            ef.ReportAdoptionFailed("iptables", 0.8),
            "app: cannot take over the containers of an earlier run: iptables; retrying in 800ms",
        ),
    ],
)
def test_trouble_is_logged_as_an_error(effect: ef.Effect, line: str) -> None:
    it = Parts()
    assert it.report(effect) == [("error", line)]
    assert it.notified == []


def test_a_trigger_that_is_held_is_logged() -> None:
    assert Parts().report(ef.ReportHeld("push")) == [("info", "app: held until `hanoverd resume app`: push")]


def test_a_version_that_is_rejected_is_logged_and_an_event_for_hooks() -> None:
    it = Parts()
    assert it.report(ef.ReportUnhealthy(1, "refused", 0, None)) == [
        (
            "error",
            "app-1: unhealthy within its settle time: refused; back to app-0",
        )
    ]
    [event] = it.notified
    assert (event.kind, event.new, event.reason) == (public.FAILED, public.VersionReference("app-1", "id-1"), "refused")


def test_a_rejected_version_that_is_not_monitored_any_more_is_known_by_its_name() -> None:
    it = Parts()
    it.report(ef.ReportUnhealthy(5, "refused", 0, None))
    assert it.notified[0].new == public.VersionReference("app-5")


def test_what_is_not_a_report_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="not a report"):
        Parts().reporter.report(ef.Finish())


# -- phases


def test_each_phase_is_logged_and_recorded_with_its_own_time() -> None:
    it = Parts()
    attempt = it.start(deploy())
    with capturedLogs() as logged:
        phases = it.reporter.phases(attempt, container(2))
        it.clock.advance(1.5)
        phases.obtained(RECIPE.image)
        it.clock.advance(0.2)
        phases.started(running(2))
    assert texts(logged) == [
        f"app-2: obtained {RECIPE.image.name.reference} (1) in 1.5s",
        f"app-2: started in 200ms: {running(2).address}",
    ]
    [record] = it.history
    assert (record.version, record.old, record.image_id) == ("app-2", "app-1", "sha256:1")
    assert [(phase, round(time, 3)) for phase, time in record.phases] == [("obtained", 1.5), ("started", 0.2)]


def test_an_image_that_was_there_before_was_not_obtained() -> None:
    it = Parts()
    record = it.history.start(["push"])
    with capturedLogs() as logged:
        Phases(it.clock, record, container(2), None, it.reporter.event, lambda: None).reused(RECIPE.image)
    assert texts(logged) == [f"app-2: uses {RECIPE.image.name.reference} (1)"]
