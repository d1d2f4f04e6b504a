"""The published host ports, bound for as long as the daemon lives.

A firewall rule binds nothing: another program could listen on the same port and never get a connection, or a second
hanoverd could take the port over unnoticed.  So each port is bound, without listening: the kernel refuses it to other
programs, and refuses clients while no version is live.

A UDP socket needs no listening, and would swallow what clients send. So it is bound to a network device that does not
exist: the kernel delivers nothing to it, and answers clients that the port is unreachable.

While a version is live, the same sockets take the clients that no rule leads to the container (``relay.py``).
"""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hanoverd.network.datagrams import stop_receiving
from hanoverd.network.port_owners import TAKES_CLIENTS, TIME_WAIT, owner_of, sockets_on
from hanoverd.runtime.errors import PortTaken
from hanoverd.spec.ports import Family, HostPort, PortRequest, Protocol, PublishedPort, family_of

#: How often a free port is asked for: the one that the kernel chooses at the first address may be taken at the second.
_TRIES = 20


@dataclass(frozen=True)
class HeldPort:
    """A published port and the socket that is bound to its host port; None where it could not be bound.

    ``was_picked``: the user left a choice of the host port.
    """

    published: PublishedPort
    socket: socket.socket | None
    was_picked: bool = False


def hold_ports(
    requests: Sequence[PortRequest], used: Sequence[PublishedPort] = (), *, with_ipv6: bool = True
) -> list[HeldPort]:
    """Choose a host port for each request, and bind it, at each of the request's addresses.

    ``used`` are the ports that an earlier run of the app published: their host ports are chosen again where a request
    accepts them.  Without ``with_ipv6``, what is asked for all addresses is held at all IPv4 addresses.  Fails with
    ``PortTaken``, and then holds none.
    """
    held: dict[int, list[HeldPort]] = {}
    try:
        # The requests with the least choice first, or another would take the only port that they accept.
        for index in sorted(range(len(requests)), key=lambda index: _choices(requests[index])):
            held[index] = _hold(requests[index], used, with_ipv6=with_ipv6)
    except PortTaken:
        release_ports([port for ports in held.values() for port in ports])
        raise
    return [port for index in range(len(requests)) for port in held[index]]


def relay_sockets(held: Sequence[HeldPort]) -> dict[HostPort, socket.socket]:
    """Return the sockets for the clients that no rule leads to the container, by their host ports."""
    return {port.published.host: port.socket for port in held if port.socket is not None}


def release_ports(held: Sequence[HeldPort]) -> None:
    """Close the sockets; idempotent."""
    for port in held:
        if port.socket is not None:
            port.socket.close()


def _hold(request: PortRequest, used: Sequence[PublishedPort], *, with_ipv6: bool) -> list[HeldPort]:
    earlier = [port.host.number for port in used if port.container == request.container]
    candidates = [*dict.fromkeys([*filter(request.accepts, earlier), *(request.numbers or ())])]
    if request.numbers is None:
        # For port 0, the kernel chooses a free one (ip(7)).
        candidates += [0] * _TRIES
    for number in candidates:
        try:
            return _hold_at(request, number, with_ipv6=with_ipv6)
        except _CannotBind as refused:
            if refused.error.errno == errno.EADDRINUSE and len(candidates) > 1:
                continue
            raise PortTaken(_explain(request, refused.host, refused.error)) from None
    raise PortTaken(
        f"all the host ports {candidates[0]}-{candidates[-1]} for port {request.container.number} are taken: "
        "choose others with --publish"
    )


class _CannotBind(Exception):
    """A host port cannot be bound, because of ``error``."""

    def __init__(self, host: HostPort, error: OSError) -> None:
        super().__init__(host, error)
        self.host, self.error = host, error


def _hold_at(request: PortRequest, number: int, *, with_ipv6: bool) -> list[HeldPort]:
    """Hold one host port at all addresses of a request; raises ``_CannotBind``, and then holds none."""
    held: list[HeldPort] = []
    for address in request.addresses:
        if request.address is None and family_of(address) is Family.IPV6 and not with_ipv6:
            continue
        host = HostPort(address, number, request.container.protocol)
        try:
            bound: socket.socket | None = _bind(host)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM) or _is_used(host):
                release_ports(held)
                raise _CannotBind(host, error) from None
            # Not root, and a port below ip_unprivileged_port_start: it cannot be bound, only looked at.
            bound = None
        if bound is not None:
            # The port that the kernel chose is the same at all addresses.
            number = bound.getsockname()[1]
        published = PublishedPort(replace(host, number=number), request.container)
        held.append(HeldPort(published, bound, request.only_number is None))
    return held


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
    family = socket.AF_INET if host.family is Family.IPV4 else socket.AF_INET6
    bound = socket.socket(family, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM)
    try:
        if host.family is Family.IPV6:
            # The same port over IPv4 is held by a socket of its own.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind((str(host.address), host.number))
        bound.setblocking(False)  # noqa: FBT003  # as Python has it
        # Or another program with the option could listen on the port too.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        bound.close()
        raise
    if is_udp:
        stop_receiving(bound)
    return bound


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
    return any(sockets_on(host, TAKES_CLIENTS[host.protocol]))
