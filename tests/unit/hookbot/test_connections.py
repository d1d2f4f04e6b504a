"""The limit of connections from one address."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from hanoverd.hookbot.connections import LimitedConnections
from hanoverd.hookbot.limits import ServerLimits
from tests.unit.hookbot.observing import logged


class Transport(StringTransport):
    """A connection in memory."""

    is_aborted = False

    def abortConnection(self) -> None:
        self.is_aborted = True


def connect(connections: LimitedConnections, address: str) -> tuple[Any, Transport]:
    """A connection from ``address``."""
    peer = IPv4Address("TCP", address, 1234)
    transport = Transport(peerAddress=peer)
    connection: Any = connections.buildProtocol(peer)
    connection.makeConnection(transport)
    return connection, transport


def connections(**limits: int) -> LimitedConnections:
    factory = Factory.forProtocol(Protocol)
    factory.noisy = False
    return LimitedConnections(Clock(), factory, ServerLimits(**limits))


def test_an_address_has_some_connections_and_other_addresses_have_others() -> None:
    limited = connections(per_address=3)
    made = [connect(limited, "192.0.2.1") for _ in range(3)]
    with logged() as events:
        refused = [connect(limited, "192.0.2.1") for _ in range(3)]
    assert [transport.is_aborted for _, transport in (*made, *refused)] == [False] * 3 + [True] * 3
    # Many connections are no reason for many lines.
    assert [event["event"] for event in events] == ["connection_dropped"]
    assert not connect(limited, "192.0.2.2")[1].is_aborted
    for connection, _ in refused:
        connection.connectionLost(Failure(ConnectionAbortedError()))
    assert connect(limited, "192.0.2.1")[1].is_aborted
    made[0][0].connectionLost(Failure(ConnectionAbortedError()))
    assert not connect(limited, "192.0.2.1")[1].is_aborted


def test_loopback_addresses_are_exempt_because_a_front_end_may_be_there() -> None:
    limited = connections(per_address=3)
    assert not any(connect(limited, "127.0.0.1")[1].is_aborted for _ in range(10))


@pytest.mark.parametrize("limits", [{"connections": 3}, {"strangers": 2}], ids=str)
def test_the_oldest_connection_without_a_token_makes_room(limits: dict[str, int]) -> None:
    limited = connections(**limits)
    trusted = connect(limited, "192.0.2.0")
    trusted[0].trust()
    first, second = (connect(limited, f"192.0.2.{number}") for number in (1, 2))
    assert not connect(limited, "192.0.2.9")[1].is_aborted
    assert [transport.is_aborted for _, transport in (trusted, first, second)] == [False, True, False]
    # Its end arrives later, and is not counted twice.
    first[0].connectionLost(Failure(ConnectionAbortedError()))
    assert not connect(limited, "192.0.2.9")[1].is_aborted
    assert second[1].is_aborted
