"""The published host ports, held for as long as the daemon lives.

A rule that redirects a port binds nothing: without more, another program could listen on the same port and never
hear of a client, or a second hanoverd could take the port over unnoticed.  So each port is bound, and not
listened on: the kernel refuses it to others, and refuses clients while no version is live.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hanoverd.runtime.errors import NameTaken, PortTaken
from hanoverd.spec.ports import PortRequest, PublishedPort

_LISTEN, _TIME_WAIT = "0A", "06"  # The states in /proc/net/tcp (include/net/tcp_states.h).


@dataclass(frozen=True)
class HeldPort:
    """A published port and the socket that holds its host port; None where it could not be bound."""

    published: PublishedPort
    hold: socket.socket | None


def hold_ports(requests: Sequence[PortRequest], used: Sequence[PublishedPort] = ()) -> list[HeldPort]:
    """Choose a host port for each request, and bind it.

    ``used`` are the ports that an earlier run of the app published: their host ports are chosen again where a request
    accepts them.  Fails with ``PortTaken``, and then holds none.
    """
    held: dict[int, HeldPort] = {}
    try:
        # Those with the least choice first, or another would take the port that they need.
        for index in sorted(range(len(requests)), key=lambda index: _choice(requests[index])):
            held[index] = _hold(requests[index], used)
    except PortTaken:
        release_ports(list(held.values()))
        raise
    return [held[index] for index in range(len(requests))]


def release_ports(held: Sequence[HeldPort]) -> None:
    """Let go of the ports; idempotent."""
    for port in held:
        if port.hold is not None:
            port.hold.close()


def hold_name(app: str) -> socket.socket:
    """Make this process the one hanoverd of this app on this host, until the socket is closed.

    A Unix socket of the abstract namespace: it belongs to the network namespace, as the app's rules do, and the
    kernel drops it with the process, however that ends (unix(7)).  Fails with ``NameTaken``.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0hanoverd/app/{app}")
    except OSError as error:
        lock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise NameTaken(
            f"a hanoverd that serves an app named {app} is running already: send it SIGHUP for a new version, or "
            "give this one another --name"
        ) from None
    return lock


def _hold(request: PortRequest, used: Sequence[PublishedPort]) -> HeldPort:
    host_ip = str(request.address)
    # Asked for port 0, the kernel chooses a free one (ip(7)).
    choice = range(1) if request.numbers is None else request.numbers
    again = [port.host.number for port in used if port.container == request.container]
    candidates = [*filter(request.accepts, again), *choice]
    for number in candidates:
        try:
            hold = _bind(host_ip, number)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM) and not _has_state(host_ip, number, _LISTEN):
                # Not root, and a port below ip_unprivileged_port_start: it cannot be held, only looked at.
                return HeldPort(request.published_at(number), None)
            if error.errno == errno.EADDRINUSE and len(candidates) > 1:
                continue
            raise PortTaken(_explain(request, host_ip, number, error)) from None
        return HeldPort(request.published_at(hold.getsockname()[1]), hold)
    raise PortTaken(
        f"all the host ports {choice.start}-{choice.stop - 1} for port {request.container.number} are taken: "
        "choose others with --publish"
    )


def _choice(request: PortRequest) -> float:
    """Return how many host ports the request accepts."""
    return math.inf if request.numbers is None else len(request.numbers)


def _bind(host_ip: str, number: int) -> socket.socket:
    try:
        return _bind_once(host_ip, number, reuse=False)
    except OSError as error:
        # A server that stopped a moment ago leaves closed connections that keep the port from a plain bind.
        if error.errno == errno.EADDRINUSE and _has_state(host_ip, number, _TIME_WAIT):
            return _bind_once(host_ip, number, reuse=True)
        raise


def _bind_once(host_ip: str, number: int, *, reuse: bool) -> socket.socket:
    hold = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        hold.bind((host_ip, number))
    except OSError:
        hold.close()
        raise
    return hold


def _explain(request: PortRequest, host_ip: str, number: int, error: OSError) -> str:
    where = f"{host_ip}:{number}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot publish on {where}: {host_ip} is not an address of this host (`ip address` lists them)"
    if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
        holder = (
            "another program listens on it"
            if _has_state(host_ip, number, _LISTEN)
            else "another hanoverd or another program holds it"
        )
        return (
            f"cannot publish port {request.container.number} on {where}: {holder} (`ss -tlnp 'sport = :{number}'` "
            "shows listeners): stop that one, or choose another host port with --publish"
        )
    return f"cannot publish on {where}: {error.strerror}"


def _has_state(host_ip: str, number: int, state: str) -> bool:
    """Whether a TCP socket on this port, at this address or all addresses, is in ``state`` (proc(5), net/tcp)."""
    anywhere = "0.0.0.0"  # noqa: S104
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, found, *_ = line.split()
            address, _, port = local.partition(":")
            if found == state and int(port, 16) == number:
                ip = socket.inet_ntoa(struct.pack("=I", int(address[-8:], 16)))
                if anywhere in (ip, host_ip) or ip == host_ip:
                    return True
    return False
