"""The published host ports, bound for as long as the daemon lives.

A firewall rule binds nothing: another program could listen on the same port and never get a connection, or a second
hanoverd could take the port over unnoticed.  So each port is bound, without listening: the kernel refuses it to other
programs, and refuses clients while no version is live.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from hanoverd.runtime.errors import PortTaken
from hanoverd.spec.ports import HostPort, PortRequest, PublishedPort

#: The states of a socket in /proc/net/tcp (include/net/tcp_states.h).
_LISTEN, _TIME_WAIT = "0A", "06"


@dataclass(frozen=True)
class HeldPort:
    """A published port and the socket that is bound to its host port; None where it could not be bound."""

    published: PublishedPort
    socket: socket.socket | None


def hold_ports(requests: Sequence[PortRequest], used: Sequence[PublishedPort] = ()) -> list[HeldPort]:
    """Choose a host port for each request, and bind it.

    ``used`` are the ports that an earlier run of the app published: their host ports are chosen again where a request
    accepts them.  Fails with ``PortTaken``, and then holds none.
    """
    held: dict[int, HeldPort] = {}
    try:
        # The requests with the least choice first, or another would take the only port that they accept.
        for index in sorted(range(len(requests)), key=lambda index: _choices(requests[index])):
            held[index] = _hold(requests[index], used)
    except PortTaken:
        release_ports(list(held.values()))
        raise
    return [held[index] for index in range(len(requests))]


def release_ports(held: Sequence[HeldPort]) -> None:
    """Close the sockets; idempotent."""
    for port in held:
        if port.socket is not None:
            port.socket.close()


def _hold(request: PortRequest, used: Sequence[PublishedPort]) -> HeldPort:
    # For port 0, the kernel chooses a free one (ip(7)).
    numbers = range(1) if request.numbers is None else request.numbers
    earlier = [port.host.number for port in used if port.container == request.container]
    candidates = [*filter(request.accepts, earlier), *numbers]
    for number in candidates:
        host = request.published_at(number).host
        try:
            bound = _bind(host)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM) and not _has_socket(host, _LISTEN):
                # Not root, and a port below ip_unprivileged_port_start: it cannot be bound, only looked at.
                return HeldPort(request.published_at(number), None)
            if error.errno == errno.EADDRINUSE and len(candidates) > 1:
                continue
            raise PortTaken(_explain(request, host, error)) from None
        return HeldPort(request.published_at(bound.getsockname()[1]), bound)
    raise PortTaken(
        f"all the host ports {numbers.start}-{numbers.stop - 1} for port {request.container.number} are taken: "
        "choose others with --publish"
    )


def _choices(request: PortRequest) -> float:
    """Return how many host ports the request accepts."""
    return math.inf if request.numbers is None else len(request.numbers)


def _bind(host: HostPort) -> socket.socket:
    try:
        return _bind_once(host, reuse=False)
    except OSError as error:
        # A server that stopped a moment ago leaves closed connections, which keep the port from a plain bind.
        if error.errno == errno.EADDRINUSE and _has_socket(host, _TIME_WAIT):
            return _bind_once(host, reuse=True)
        raise


def _bind_once(host: HostPort, *, reuse: bool) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind((str(host.address), host.number))
    except OSError:
        bound.close()
        raise
    return bound


def _explain(request: PortRequest, host: HostPort, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot publish on {host}: {host.address} is not an address of this host (`ip address` lists them)"
    if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
        holder = (
            "another program listens on it"
            if _has_socket(host, _LISTEN)
            else "another hanoverd or another program holds it"
        )
        return (
            f"cannot publish port {request.container.number} on {host}: {holder} (`ss -tlnp 'sport = :{host.number}'` "
            "shows listeners): stop that one, or choose another host port with --publish"
        )
    return f"cannot publish on {host}: {error.strerror}"


def _has_socket(host: HostPort, state: str) -> bool:
    """Return whether a TCP socket on this port, at this address or all addresses, is in ``state`` (proc(5), net/tcp)."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, found, *_ = line.split()
            address, _, number = local.partition(":")
            if found != state or int(number, 16) != host.number:
                continue
            # An IPv6 socket may accept IPv4 too: the last 32 bits are the IPv4 address then, and 0 at all addresses.
            ip = IPv4Address(struct.pack("=I", int(address[-8:], 16)))
            if host.conflicts_with(HostPort(ip, host.number)):
                return True
    return False
