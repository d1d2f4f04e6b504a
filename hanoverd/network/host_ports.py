"""The published host ports, bound for as long as the daemon lives.

A firewall rule binds nothing: another program could listen on the same port and never get a connection, or a second
hanoverd could take the port over unnoticed.  So each port is bound, without listening: the kernel refuses it to other
programs, and refuses clients while no version is live.

A UDP socket needs no listening, and would swallow what clients send. So it is bound to a network device that does not
exist: the kernel delivers nothing to it, and answers clients that the port is unreachable.
"""

from __future__ import annotations

import contextlib
import errno
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from hanoverd.network.port_owners import CLOSE, LISTEN, TIME_WAIT, owner_of, sockets_on
from hanoverd.runtime.errors import PortTaken
from hanoverd.spec.ports import HostPort, PortRequest, Protocol, PublishedPort

#: Python has no name for it (include/uapi/asm-generic/socket.h, Linux 5.0).
_SO_BINDTOIFINDEX = 62

#: No network device has the highest index: the kernel counts from 1.
_NO_DEVICE = 2**31 - 1


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
            if error.errno in (errno.EACCES, errno.EPERM) and not _is_used(host):
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
        if host.protocol is Protocol.TCP and error.errno == errno.EADDRINUSE and any(sockets_on(host, TIME_WAIT)):
            return _bind_once(host, reuse=True)
        raise


def _bind_once(host: HostPort, *, reuse: bool) -> socket.socket:
    is_udp = host.protocol is Protocol.UDP
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind((str(host.address), host.number))
        # Or another program with the option could listen on the port too.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        bound.close()
        raise
    if is_udp:
        _receive_nothing(bound)
    return bound


def _receive_nothing(bound: socket.socket) -> None:
    # Before Linux 5.7 only root may.  Clients then wait while no version is live, instead of being refused.
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_DEVICE)


def _explain(request: PortRequest, host: HostPort, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot publish on {host}: {host.address} is not an address of this host (`ip address` lists them)"
    if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
        letter = "u" if host.protocol is Protocol.UDP else "t"
        hint = f"`ss -{letter}lnp 'sport = :{host.number}'` shows listeners"
        owner = owner_of(host)
        if owner is not None:
            holder = f"{owner} listens on it"
        elif _is_used(host):
            holder = f"another program listens on it ({hint})"
        else:
            holder = f"another hanoverd or another program holds it ({hint})"
        return (
            f"cannot publish port {request.container.number} on {host}: {holder}: stop that one, or choose another host port "
            "with --publish"
        )
    return f"cannot publish on {host}: {error.strerror}"


def _is_used(host: HostPort) -> bool:
    """Return whether a program listens on the port, or receives UDP there."""
    return any(sockets_on(host, CLOSE if host.protocol is Protocol.UDP else LISTEN))
