"""A version is ready when its own health check is healthy, or when it keeps running."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from hanoverd.runtime.errors import EngineUnreachable, VersionFailed
from hanoverd.versions.engine_readiness import HealthcheckReadiness, RunningReadiness


async def nothing() -> list[str]:
    """What the version printed last."""
    return []


RUNNING: Any = SimpleNamespace(container=SimpleNamespace(ref="c0ffee"), monitor=SimpleNamespace(recent_output=nothing))
CHECK = {"Healthcheck": {"Test": ["CMD", "true"]}}


class Engine:
    """Describes a container by each of its states in turn, and at last always by the last one."""

    def __init__(self, *states: str | Exception, config: dict[str, Any] | None = None, runs: bool = True) -> None:
        self.states = list(states)
        self.runs = runs
        self.config = CHECK if config is None else config
        self.asked = 0

    async def inspect_container(self, name: str) -> dict[str, Any]:
        assert name == "c0ffee"
        self.asked += 1
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        health = {"Status": state, "Log": [{"Output": "first"}, {"Output": f"still {state}\n"}]}
        return {"Config": self.config, "State": {"Running": self.runs, **({"Health": health} if state else {})}}


def waiting(engine: Any, **options: float) -> tuple[Clock, HealthcheckReadiness, list[Any], Deferred[None]]:
    """A readiness that waits, what came of it, and its Deferred."""
    clock, results = Clock(), list[Any]()
    readiness = HealthcheckReadiness(clock, engine, RUNNING, **options)
    deferred = Deferred.fromCoroutine(readiness.wait())
    deferred.addBoth(results.append)
    return clock, readiness, results, deferred


def test_it_waits_while_the_check_is_starting() -> None:
    engine = Engine("starting", "starting", "healthy")
    clock, readiness, results, _ = waiting(engine)
    assert (results, readiness.describe()) == ([], ": its HEALTHCHECK is starting, and printed last: still starting")
    clock.pump([0.05] * 4)
    assert (results, engine.asked, clock.getDelayedCalls()) == ([None], 3, [])


def test_the_interval_is_from_one_look_to_the_next() -> None:
    engine = Engine("starting")
    clock, _, results, deferred = waiting(engine, interval=3.0)
    clock.pump([1.0] * 7)
    assert engine.asked == 3
    deferred.cancel()
    assert results[0].type is CancelledError
    assert clock.getDelayedCalls() == []


def test_an_unhealthy_check_fails_at_once_with_what_it_printed() -> None:
    clock, _, results, _ = waiting(Engine("starting", "unhealthy"))
    clock.advance(0.1)
    assert results[0].type is VersionFailed
    assert results[0].getErrorMessage() == ("not ready: its HEALTHCHECK failed: still unhealthy; it printed nothing")


def test_the_exit_of_a_version_is_left_to_who_waits_for_it() -> None:
    clock, _, results, deferred = waiting(Engine("unhealthy", runs=False))
    clock.pump([0.1] * 5)
    assert results == []
    deferred.cancel()
    assert results[0].type is CancelledError


@pytest.mark.parametrize("config", [{}, {"Healthcheck": None}, {"Healthcheck": {"Test": ["NONE"]}}])
def test_a_container_without_a_check_fails_at_once_with_what_to_do(config: dict[str, Any]) -> None:
    _, _, results, _ = waiting(Engine("", config=config))
    assert results[0].type is VersionFailed
    assert "add a HEALTHCHECK to the image, set --health-cmd, or choose another --status-kind" in str(results[0].value)


def test_an_engine_that_is_away_is_not_the_fault_of_the_version() -> None:
    _, _, results, _ = waiting(Engine(EngineUnreachable("away")))
    assert results[0].type is EngineUnreachable


def test_a_version_without_a_check_is_ready_when_it_has_run_for_a_second() -> None:
    clock, results = Clock(), list[object]()
    readiness = RunningReadiness(clock)
    deferred = Deferred.fromCoroutine(readiness.wait())
    deferred.addBoth(results.append)
    clock.advance(0.9)
    assert (results, readiness.describe()) == ([], ": it has to run for 1s")
    clock.advance(0.2)
    assert results == [None]
