"""A drain waits for the connections of a version, but not for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from hanoverd.deploy.drain import Drain
from hanoverd.runtime.errors import EngineUnreachable
from hanoverd.spec.handover import DrainSpec
from tests.unit.deploy.dummies import Result, exit_of, ids, running


class DummyEngine:
    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.error: Exception | None = None

    async def kill(self, ref: str, signal: str) -> None:
        self.events.append(f"{signal} to {ref}")
        if self.error is not None:
            raise self.error


class DummyConntrack:
    """Has so many connections, one count after the other; the last one stays."""

    def __init__(self, events: list[str], *counts: int | None) -> None:
        self.events = events
        self.counts = list(counts)

    async def count(self, addresses: Any, flows_of: Any = ()) -> int | None:
        self.events.append(f"count {','.join(addresses)}{' and flows' if flows_of else ''}")
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]

    async def forget_finished(self, addresses: Any) -> None:
        self.events.append(f"forget {','.join(addresses)}")


class DummyFlows:
    """The version that drains has flows until they are moved."""

    def __init__(self, clock: Clock, *, has_flows: bool) -> None:
        self.clock = clock
        self.moved: list[float] = []
        self.left = ["flow"] if has_flows else []

    def endpoints_of(self, _running: Any) -> list[str]:
        return self.left

    async def move(self, _running: Any) -> None:
        if self.left:
            self.moved.append(round(self.clock.seconds(), 1))
        self.left = []


class Draining:
    """A drain in progress."""

    def __init__(
        self,
        *counts: int | None,
        grace: float = 0.0,
        timeout: float = 60.0,
        signal: str | None = None,
        udp: float | None = None,
        has_flows: bool = False,
    ) -> None:
        self.events: list[str] = []
        self.clock = Clock()
        self.old = running(1)
        engine: Any = DummyEngine(self.events)
        conntrack: Any = DummyConntrack(self.events, *counts)
        self.engine = engine
        self.flows = DummyFlows(self.clock, has_flows=has_flows)
        flows: Any = self.flows
        self.drain = Drain(self.clock, engine, conntrack, flows, DrainSpec(grace, timeout, signal, udp))

    def start(self) -> Result:
        return Result(self.drain.wait(self.old))

    def wait(self, seconds: float) -> None:
        """Time passes, in small steps."""
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)


def test_a_drain_is_over_when_the_last_connection_has_ended() -> None:
    it = Draining(2, 1, 0)
    result = it.start()
    it.wait(0.1)
    assert result.values == []
    it.wait(1)
    assert result.values == [0]
    # The engine deletes what it finds when the version is stopped, and must find nothing by then.
    assert it.events == [*["count 172.17.0.1"] * 3, "forget 172.17.0.1"]
    assert it.clock.getDelayedCalls() == []


def test_the_first_count_is_reported() -> None:
    for counts, first in (((3, 1, 0), 3), ((None, 1, 0), None), ((0,), 0)):
        it = Draining(*counts)
        reported: list[int | None] = []
        Result(it.drain.wait(it.old, reported.append))
        it.wait(5)
        assert reported == [first]


def test_a_version_without_connections_is_drained_when_its_grace_is_over() -> None:
    it = Draining(0, grace=2.0)
    result = it.start()
    it.wait(1.9)
    assert (result.values, it.events) == ([], [])
    it.wait(0.2)
    assert result.values == [0]


def test_a_drain_ends_at_its_timeout_which_counts_from_the_flip() -> None:
    it = Draining(3, grace=2.0, timeout=5.0)
    result = it.start()
    it.wait(4.9)
    assert result.values == []
    it.wait(0.2)
    assert result.values == [3]
    assert it.events[-1] == "forget 172.17.0.1"


def test_a_drain_takes_its_whole_time_where_connections_cannot_be_counted() -> None:
    it = Draining(None, timeout=5.0)
    result = it.start()
    it.wait(4.9)
    assert result.values == []
    it.wait(0.2)
    assert result.values == [None]


def test_a_version_that_has_exited_is_not_drained() -> None:
    it = Draining(3, signal="SIGUSR1")
    exit_of(it.old, 0)
    assert it.start().values == [None]
    assert it.events == []


def test_a_version_that_exits_during_its_grace_is_drained_at_once() -> None:
    it = Draining(3, grace=10.0)
    result = it.start()
    it.wait(1)
    exit_of(it.old, 0)
    # Its address may be another's: nothing is counted.
    assert (result.values, it.events) == ([0], [])
    assert it.clock.getDelayedCalls() == []


def test_a_version_that_exits_between_two_counts_is_drained_at_once() -> None:
    it = Draining(3)
    result = it.start()
    it.wait(1)
    exit_of(it.old, 0)
    assert result.values == [0]
    assert "forget 172.17.0.1" not in it.events


def test_a_cancel_gives_up_and_leaves_no_timer() -> None:
    it = Draining(3)
    result = it.start()
    it.wait(1)
    result.work.cancel()
    assert result.values == [CancelledError]
    assert it.clock.getDelayedCalls() == []


def test_the_drain_signal_is_sent_at_the_flip() -> None:
    it = Draining(0, grace=2.0, signal="SIGUSR1")
    it.start()
    assert it.events == ["SIGUSR1 to id-1"]


def test_a_drain_signal_that_cannot_be_sent_is_logged_and_ends_nothing() -> None:
    it = Draining(0, signal="SIGUSR1")
    it.engine.error = EngineUnreachable("no engine")
    with capturedLogs() as logged:
        result = it.start()
    assert ids(logged) == ["drain_signal_failed"]
    it.wait(0.1)
    assert result.values == [0]


def test_flows_stay_with_the_old_version_until_its_drain_ends() -> None:
    it = Draining(3, timeout=10.0, has_flows=True)
    result = it.start()
    it.wait(9.9)
    assert (result.values, it.flows.moved) == ([], [])
    it.wait(0.2)
    # What is left is TCP: the flows were moved, not cut.
    assert (result.values, it.flows.moved) == ([3], [10.0])
    assert it.events[-3:] == ["count 172.17.0.1 and flows", "count 172.17.0.1", "forget 172.17.0.1"]


def test_flows_move_after_the_time_for_udp_and_are_not_waited_for_after_that() -> None:
    it = Draining(1, 1, 0, grace=5.0, udp=2.0, has_flows=True)
    result = it.start()
    it.wait(1.9)
    assert it.flows.moved == []
    it.wait(0.2)
    assert it.flows.moved == [2.0]
    it.wait(4)
    assert result.values == [0]
    assert not any("flows" in event for event in it.events)


def test_flows_can_move_at_once() -> None:
    it = Draining(0, grace=1.0, udp=0.0, has_flows=True)
    result = it.start()
    it.clock.advance(0)
    assert it.flows.moved == [0.0]
    it.wait(1)
    assert result.values == [0]
    assert it.clock.getDelayedCalls() == []


def test_flows_move_when_the_drain_is_cancelled_or_the_version_exits() -> None:
    it = Draining(1, udp=30.0, has_flows=True)
    result = it.start()
    result.work.cancel()
    assert len(it.flows.moved) == 1
    assert it.clock.getDelayedCalls() == []
    gone = Draining(1, udp=30.0, has_flows=True)
    result = gone.start()
    exit_of(gone.old, 0)
    assert len(gone.flows.moved) == 1
    assert gone.clock.getDelayedCalls() == []
