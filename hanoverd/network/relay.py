"""Relays clients that the kernel cannot forward to the live version: it has no address of their family.

The usual case is a client over IPv6 and a container that has an IPv4 address only. Its connection ends here, and another
one goes to the container, so that the app sees an address of this host as the client's. Docker's own proxy does the same.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Mapping
from pathlib import Path

from hanoverd.network.relay_connection import RelayReactor
from hanoverd.network.relay_flows import FlowTimeouts
from hanoverd.network.relay_target import Target
from hanoverd.network.relay_tcp import TCPRelay
from hanoverd.network.relay_udp import UDPRelay
from hanoverd.spec.ports import HostPort, Protocol

#: A relayed connection takes two file descriptors, and a flow one.  So they all take five eighths of the descriptors at most,
#: and the daemon keeps the rest.
_DESCRIPTORS_PER_CONNECTION, _DESCRIPTORS_PER_FLOW = 4, 8

#: How many connections or flows are relayed at most, also where a process may have a million descriptors.
_MOST = 4096

#: Where the kernel has its times for silent UDP flows, in seconds.
_TIMES = Path("/proc/sys/net/netfilter")


class Relays:
    """Relays from ``sockets`` to the live version.

    The sockets are bound and do not block; those for TCP do not listen, and those for UDP receive nothing
    (``datagrams.stop_receiving``). They stay the caller's, who closes them after ``stop``.
    """

    def __init__(self, reactor: RelayReactor, sockets: Mapping[HostPort, socket.socket]) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = most(descriptors, _DESCRIPTORS_PER_CONNECTION)
        flows = most(descriptors, _DESCRIPTORS_PER_FLOW)
        self._tcp = TCPRelay(reactor, _of(Protocol.TCP, sockets), connections)
        self._udp = UDPRelay(reactor, _of(Protocol.UDP, sockets), flows, read_timeouts(_TIMES))

    def set_live(self, targets: Mapping[HostPort, Target]) -> None:
        """Relay new connections and flows to ``targets`` from now on; ports without a target refuse their clients.

        Open connections and flows stay with the version that they have.  It is done when this returns, for all ports.
        """
        self._tcp.set_live(targets)
        self._udp.set_live(targets)

    def close(self, version: str) -> None:
        """Close what still goes to a version that has stopped. Answers that it had finished are still delivered."""
        self._tcp.close(version)
        self._udp.close(version)

    def close_flows(self, version: str) -> None:
        """End the UDP flows of a version: what their clients send next goes to the live one."""
        self._udp.close(version)

    def stop(self) -> None:
        """Refuse clients, reset all connections and end all flows; idempotent."""
        self._tcp.stop()
        self._udp.stop()


def most(descriptors: int, share: int) -> int:
    """Return how many connections or flows may be relayed: one for each ``share`` descriptors (RLIMIT_NOFILE)."""
    return _MOST if descriptors == resource.RLIM_INFINITY else min(descriptors // share, _MOST)


def read_timeouts(folder: Path) -> FlowTimeouts:
    """Return how long the kernel keeps silent UDP flows; its defaults where it does not track connections."""
    usual = FlowTimeouts()
    return FlowTimeouts(
        _read_seconds(folder / "nf_conntrack_udp_timeout", usual.unanswered),
        _read_seconds(folder / "nf_conntrack_udp_timeout_stream", usual.answered),
    )


def _read_seconds(path: Path, usual: float) -> float:
    try:
        # With 0, the kernel forgets a flow at once; here, its answer would have nowhere to go.
        return max(1.0, float(path.read_text()))
    except (OSError, ValueError):
        return usual


def _of(protocol: Protocol, sockets: Mapping[HostPort, socket.socket]) -> dict[HostPort, socket.socket]:
    return {host: own for host, own in sockets.items() if host.protocol is protocol}
