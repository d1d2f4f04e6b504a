"""A connection whose first packet is lost is made by another attempt, long before the kernel repeats the packet."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from hanoverd.versions.connect_race import RacingEndpoint


class Race:
    """A race in a network in which the test decides what arrives."""

    def __init__(self) -> None:
        reactor: Any = MemoryReactorClock()
        self.reactor = reactor
        factory = Factory.forProtocol(Protocol)
        self.connecting: Deferred[IProtocol] = RacingEndpoint(reactor, "172.17.0.2", 80, 5.0).connect(factory)
        self.results: list[Any] = []
        self.connecting.addBoth(self.results.append)

    @property
    def attempts(self) -> int:
        return len(self.reactor.tcpClients)

    def stopped(self) -> list[bool]:
        return [connector.stoppedConnecting for connector in self.reactor.connectors]

    def accept(self, number: int) -> IProtocol:
        protocol: IProtocol = self.reactor.tcpClients[number][2].buildProtocol(None)
        protocol.makeConnection(StringTransport())
        return protocol

    def refuse(self, number: int) -> None:
        self.reactor.tcpClients[number][2].clientConnectionFailed(self.reactor.connectors[number], Failure(Refused()))


def test_an_attempt_that_is_answered_is_the_only_one() -> None:
    race = Race()
    race.accept(0)
    race.reactor.advance(10)
    assert (len(race.results), race.attempts) == (1, 1)
    assert isinstance(race.results[0], Protocol)
    assert race.reactor.getDelayedCalls() == []


def test_a_refusal_is_an_answer() -> None:
    race = Race()
    race.refuse(0)
    assert race.results[0].type is Refused
    assert race.reactor.getDelayedCalls() == []


def test_attempts_that_are_not_answered_get_others_beside_them_after_longer_and_longer_waits() -> None:
    race = Race()
    starts: list[float] = []
    while race.reactor.seconds() < 5:
        if race.attempts > len(starts):
            starts.append(round(race.reactor.seconds(), 1))
        race.reactor.advance(0.01)
    assert starts == [0, 0.1, 0.3, 0.7, 1.5, 3.1]
    assert race.stopped() == [False] * 6
    assert race.results == []


def test_the_first_answer_counts_and_closes_the_other_attempts() -> None:
    race = Race()
    race.reactor.advance(0.1)
    race.reactor.advance(0.2)
    race.accept(1)
    assert isinstance(race.results[0], Protocol)
    assert race.stopped() == [True, False, True]
    assert race.reactor.getDelayedCalls() == []


def test_a_cancel_closes_all_attempts() -> None:
    race = Race()
    race.reactor.advance(0.1)
    race.connecting.cancel()
    assert race.results[0].type is CancelledError
    assert race.stopped() == [True, True]
    assert race.reactor.getDelayedCalls() == []
