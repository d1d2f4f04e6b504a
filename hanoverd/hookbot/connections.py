"""Limits the connections of a server: from one address, and in all."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure

from hanoverd.hookbot.limits import ServerLimits

log = Logger()

#: The shortest time between two reports that connections are refused, in seconds.
_REPORT_PERIOD = 60.0

_IPV6_NETWORK_BITS = 64


def network_of(address: str) -> str | None:
    """Return the IPv4 address or the IPv6 network that ``address`` counts for; None for a loopback address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        # A socket for "::" accepts IPv4 connections as addresses of this form.
        parsed = parsed.ipv4_mapped or parsed
    if parsed.is_loopback:
        return None
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> _IPV6_NETWORK_BITS << _IPV6_NETWORK_BITS))
    return str(parsed)


class LimitedConnection(ProtocolWrapper):
    """A connection that is counted, also after it has become a websocket."""

    network: str | None = None

    _is_connected = False

    def makeConnection(self, transport: Any) -> None:
        """Count the connection, or drop it."""
        self.network = network_of(getattr(transport.getPeer(), "host", ""))
        if self._connections.admits(self):
            super().makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted's
            self._is_connected = True
        else:
            self.transport = transport
            transport.abortConnection()

    def trust(self) -> None:
        """Keep the connection when others are dropped: its client has shown a valid token."""
        self._connections.trust(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count the connection no longer."""
        self._connections.forget(self)
        wrapped: Any = self.wrappedProtocol
        # They refer to each other.
        self.wrappedProtocol = None  # type: ignore[assignment]  # Twisted does the same
        if self._is_connected:
            wrapped.connectionLost(reason)

    @property
    def _connections(self) -> LimitedConnections:
        connections: LimitedConnections = self.factory
        return connections


class LimitedConnections(WrappingFactory[LimitedConnection]):
    """Drops connections over the limits of the server with the factory ``wrapped``.

    Over the limit for one address, the new connection is dropped. Over the limit for all, the oldest connection without a
    valid token is dropped: a new client gets its turn, and a listener with a token keeps its connection.
    """

    protocol = LimitedConnection
    noisy = False

    def __init__(self, clock: IReactorTime, wrapped: Any, limits: ServerLimits) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]  # Twisted's
        self._clock = clock
        self._limits = limits
        self._of_network: Counter[str | None] = Counter()
        #: The connections without a valid token; the oldest is the first.
        self._untrusted: dict[LimitedConnection, None] = {}
        self._last_report: float | None = None

    def admits(self, connection: LimitedConnection) -> bool:
        """Return whether a new connection stays; another one may be dropped for it."""
        most = self._limits.per_address
        if connection.network is not None and most is not None and self._of_network[connection.network] >= most:
            self._report(connection.network, f"it has {most} connections")
            return False
        limit = self._reached()
        if limit is None:
            return True
        self._report(str(connection.network or "loopback"), limit)
        oldest = next(iter(self._untrusted), None)
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.abortConnection()
        return True

    def _reached(self) -> str | None:
        """Return which limit of all connections is reached; None if there is none."""
        if self._of_network.total() >= self._limits.connections:
            return f"there are {self._limits.connections} connections"
        if len(self._untrusted) >= self._limits.strangers:
            return f"there are {self._limits.strangers} connections without a token"
        return None

    def registerProtocol(self, p: LimitedConnection) -> None:
        """Count a connection."""
        super().registerProtocol(p)  # type: ignore[no-untyped-call]  # as above
        self._of_network[p.network] += 1
        self._untrusted[p] = None

    def trust(self, connection: LimitedConnection) -> None:
        """Do not drop ``connection`` for a new one."""
        self._untrusted.pop(connection, None)

    def forget(self, connection: LimitedConnection) -> None:
        """Count ``connection`` no longer; nothing happens if it is not counted."""
        if self.protocols.pop(connection, None) is None:
            return
        self._untrusted.pop(connection, None)
        self._of_network[connection.network] -= 1
        if not self._of_network[connection.network]:
            del self._of_network[connection.network]

    def _report(self, peer: str, reason: str) -> None:
        now = self._clock.seconds()
        if self._last_report is None or now - self._last_report >= _REPORT_PERIOD:
            self._last_report = now
            log.warn(
                "hookbot: dropped a connection of {peer}: {reason}",
                event="connection_dropped",
                peer=peer,
                reason=reason,
            )
