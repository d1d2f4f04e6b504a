"""When a version is ready: one port answers 200, and every other accepts connections; or each port succeeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from hanoverd.versions.probe import ProbeResult
from hanoverd.versions.readiness import PortReadiness, is_ready


class ScriptedHealth:
    """Answers each probe from its list, at once or when the test fires what is pending."""

    def __init__(self, answers: dict[int, list[int | None]]) -> None:
        self.answers = answers
        self.asked: list[tuple[float, int]] = []
        self.pending: list[Deferred[ProbeResult]] = []
        self.clock = Clock()

    async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> ProbeResult:
        """None: refused; 0: accepts and never answers; else the status."""
        self.asked.append((round(self.clock.seconds(), 3), port))
        answers = self.answers[port]
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        if status is None:
            return ProbeResult(port, accepts=False, succeeded=False, summary=f"port {port}: refused")
        on_accept()
        if status == 0:
            waiting: Deferred[ProbeResult] = Deferred()
            self.pending.append(waiting)
            return await waiting
        return ProbeResult(port, True, status == 200, f"port {port}: HTTP status {status}")


def started(health: ScriptedHealth, *ports: int, **options: Any) -> tuple[PortReadiness, list[object], Deferred[None]]:
    """Readiness that is being polled, what came of it, and its Deferred."""
    readiness = PortReadiness(health.clock, "172.17.0.2", dict.fromkeys(ports, health), **options)
    results: list[object] = []
    deferred = Deferred.fromCoroutine(readiness.wait())
    deferred.addBoth(results.append)
    return readiness, results, deferred


def test_the_first_probe_is_sent_at_once() -> None:
    health = ScriptedHealth({80: [200]})
    _, results, _ = started(health, 80)
    health.clock.advance(0)
    assert results == [None]


def waits_while(answers: list[int | None], seconds: int) -> list[float]:
    """The times between the probes of a port that answers so, and at last always as the last of these."""
    health = ScriptedHealth({80: answers})
    _, results, deferred = started(health, 80)
    for _ in range(seconds * 2000):
        health.clock.advance(0.0005)
    deferred.cancel()
    assert results[0].type is CancelledError  # type: ignore[attr-defined]
    assert health.clock.getDelayedCalls() == []
    times = [time for time, _ in health.asked]
    assert times[0] == 0
    return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]


def test_a_port_that_refuses_is_probed_every_millisecond_then_more_slowly_up_to_a_quarter_of_a_second() -> None:
    waits = waits_while([None], 60)
    assert waits[0] == pytest.approx(0.001, abs=0.001)
    assert all(later >= earlier - 0.0015 for earlier, later in itertools.pairwise(waits))
    assert waits[-1] == pytest.approx(0.250, abs=0.001)


def test_a_port_that_answers_other_than_200_is_probed_every_10_ms_then_more_slowly_up_to_a_quarter_of_a_second() -> (
    None
):
    waits = waits_while([503], 15)
    assert waits[0] == pytest.approx(0.010, abs=0.001)
    assert all(later >= earlier - 0.0015 for earlier, later in itertools.pairwise(waits))
    assert waits[-1] == pytest.approx(0.250, abs=0.001)


def test_an_app_that_listens_late_is_asked_as_often_as_one_that_listens_at_once() -> None:
    refused: list[int | None] = [None] * 500
    waits = waits_while([*refused, 503], 4)
    assert waits[499] > 0.010
    assert waits[500] == pytest.approx(0.010, abs=0.001)


def test_not_200_and_refused_both_mean_not_yet() -> None:
    health = ScriptedHealth({80: [None, 503, 404, 301, 204, 200]})
    _, results, _ = started(health, 80)
    health.clock.pump([0.02] * 10)
    assert (results, len(health.asked)) == ([None], 6)


def test_every_other_port_must_accept() -> None:
    health = ScriptedHealth({80: [200], 81: [None, None, 500]})
    readiness, results, _ = started(health, 80, 81)
    assert results == []
    assert readiness.describe().endswith("; the last at 172.17.0.2: port 80: HTTP status 200; port 81: refused")
    health.clock.pump([0.02] * 3)
    assert results == [None]
    assert health.clock.getDelayedCalls() == []


def test_a_port_that_accepts_and_never_answers_does_not_hold_up_the_others() -> None:
    health = ScriptedHealth({80: [503, 200], 81: [0]})
    _, results, _ = started(health, 80, 81)
    health.clock.pump([0.02])
    assert results == [None]


def test_a_mistake_in_a_probe_is_not_swallowed() -> None:
    class Broken(ScriptedHealth):
        async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> ProbeResult:
            raise ZeroDivisionError

    _, results, _ = started(Broken({}), 80)
    assert results[0].type is ZeroDivisionError  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("probes", "ready"),
    [
        ([(200, True)], True),
        ([(503, True)], False),
        ([(200, True), (None, False)], False),
        ([(200, True), (None, True)], True),
        ([(None, True), (None, True)], False),
    ],
)
def test_ready_is_one_200_and_all_accepting(probes: list[tuple[int | None, bool]], ready: bool) -> None:
    assert is_ready(ProbeResult(80, accepts, status == 200, "") for status, accepts in probes) is ready


def test_where_all_are_needed_each_port_must_succeed() -> None:
    health = ScriptedHealth({80: [200], 81: [503, 503, 200]})
    _, results, _ = started(health, 80, 81, needs_all=True)
    health.clock.pump([0.01])
    assert results == []
    health.clock.pump([0.01, 0.01])
    assert results == [None]
    assert not is_ready([], needs_all=True)


def test_a_port_that_flaps_is_ready_after_so_many_successes_in_a_row() -> None:
    health = ScriptedHealth({80: [200, 503, 200, 200, None, 200, 200, 200]})
    readiness, results, _ = started(health, 80, successes=3)
    health.clock.pump([0.05] * 20)
    assert readiness.describe().endswith("port 80: HTTP status 200 (1 of 3 times in a row)")
    assert results == []
    health.clock.pump([0.05] * 20)
    assert (results, len(health.asked)) == ([None], 8)
    assert health.clock.getDelayedCalls() == []


def test_between_two_successes_is_a_quarter_of_a_second() -> None:
    health = ScriptedHealth({80: [200]})
    _, results, _ = started(health, 80, successes=3)
    health.clock.pump([0.01] * 60)
    assert results == [None]
    assert [time for time, _ in health.asked] == [0, pytest.approx(0.25, abs=0.02), pytest.approx(0.5, abs=0.02)]


def test_a_given_interval_does_not_grow() -> None:
    health = ScriptedHealth({80: [None, None, 503, 503, 200]})
    _, results, _ = started(health, 80, interval=2.0)
    health.clock.pump([0.5] * 20)
    assert (results, [time for time, _ in health.asked]) == ([None], [0, 2, 4, 6, 8])


def test_a_port_that_has_accepted_and_not_answered_yet_is_described_so() -> None:
    health = ScriptedHealth({80: [None, 0], 81: [503, 0]})
    readiness, _, deferred = started(health, 80, 81)
    health.clock.pump([0.02])
    assert readiness.describe().endswith(
        "port 80: accepted the connection, and has not answered; port 81: HTTP status 503"
    )
    deferred.addErrback(lambda _: None)
    deferred.cancel()
