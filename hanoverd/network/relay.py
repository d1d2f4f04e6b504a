"""Relays clients that the kernel cannot forward to the live version: it has no address of their family.

The usual case is a client over IPv6 and a container that has an IPv4 address only. Its connection ends here, and another
one goes to the container, so that the app sees an address of this host as the client's. Docker's own proxy does the same.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Mapping

from hanoverd.network.relay_connection import RelayReactor
from hanoverd.network.relay_target import Target
from hanoverd.network.relay_tcp import TCPRelay
from hanoverd.spec.ports import HostPort, Protocol

#: A relayed connection takes two file descriptors.  So they all take half of them at most, and the daemon keeps the rest.
_DESCRIPTORS_PER_CONNECTION = 4

#: How many connections are relayed at most, also where a process may have a million descriptors.
_MOST_CONNECTIONS = 16384


class Relays:
    """Relays from ``sockets`` to the live version.

    The sockets are bound and do not block; those for TCP do not listen. They stay the caller's, who closes them after
    ``stop``.
    """

    def __init__(self, reactor: RelayReactor, sockets: Mapping[HostPort, socket.socket]) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._tcp = TCPRelay(reactor, _of(Protocol.TCP, sockets), most_connections(descriptors))

    def set_live(self, targets: Mapping[HostPort, Target]) -> None:
        """Relay new connections to ``targets`` from now on; ports without a target refuse their clients.

        Connections that are open stay with the version that they have.  It is done when this returns, for all ports.
        """
        self._tcp.set_live(targets)

    def connections(self, version: str) -> int:
        """Return how many TCP connections to a version are open."""
        return self._tcp.connections(version)

    def close(self, version: str) -> None:
        """Close what still goes to a version that has stopped. Answers that it had finished are still delivered."""
        self._tcp.close(version)

    def stop(self) -> None:
        """Refuse clients, and reset all connections; idempotent."""
        self._tcp.stop()


def most_connections(descriptors: int) -> int:
    """Return how many connections may be relayed by a process that may have so many descriptors (RLIMIT_NOFILE)."""
    if descriptors == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return min(descriptors // _DESCRIPTORS_PER_CONNECTION, _MOST_CONNECTIONS)


def _of(protocol: Protocol, sockets: Mapping[HostPort, socket.socket]) -> dict[HostPort, socket.socket]:
    return {host: own for host, own in sockets.items() if host.protocol is protocol}
