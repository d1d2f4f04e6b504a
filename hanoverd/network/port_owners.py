"""Which sockets and processes have a port of the host, from the kernel's files in /proc (proc(5), net/tcp)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from hanoverd.network.bridge import PROC
from hanoverd.spec.ports import Family, HostPort, IPAddress, Protocol, family_of

#: The states of a socket (include/net/tcp_states.h); a UDP socket that receives from everybody is in CLOSE.
LISTEN, TIME_WAIT, CLOSE = "0A", "06", "07"


#: The state of a socket that takes clients, by protocol.
TAKES_CLIENTS = {**dict.fromkeys(Protocol, LISTEN), Protocol.UDP: CLOSE}


def sockets_on(host: HostPort, state: str, proc: Path = PROC) -> Iterator[str]:
    """Yield the inodes of the sockets on this port, at this address or all addresses, that are in ``state``."""
    for address, number, inode in _sockets(host.family, host.protocol, state, proc):
        if number == host.number and host.conflicts_with(
            HostPort(_address(address, host.family), host.number, host.protocol)
        ):
            yield inode


def ports_served(address: IPAddress, protocol: Protocol, proc: Path = PROC) -> frozenset[int]:
    """Return the ports of an address at which a socket takes clients."""
    family = family_of(address)
    found = _sockets(family, protocol, TAKES_CLIENTS[protocol], proc)
    own = ((_address(text, family), number) for text, number, _ in found)
    return frozenset(number for one, number in own if one == address or one.is_unspecified)


def _sockets(family: Family, protocol: Protocol, state: str, proc: Path) -> Iterator[tuple[str, int, str]]:
    """Yield the address, as it is printed, the port and the inode of each socket in ``state``."""
    # An IPv6 socket may accept IPv4 too; an IPv4 socket never accepts IPv6.
    for table in [f"{protocol}6"] if family is Family.IPV6 else [protocol, f"{protocol}6"]:
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, found, _, _, _, _, _, inode, *_ = line.split()
            if found == state:
                address, _, number = local.partition(":")
                yield address, int(number, 16), inode


def _address(printed: str, family: Family) -> IPAddress:
    """Read an address: the table prints it in parts of 32 bits, each as the number that the kernel has in memory."""
    packed = b"".join(struct.pack("=I", int(printed[start : start + 8], 16)) for start in range(0, len(printed), 8))
    # The last 32 bits of an IPv6 address are the IPv4 address of such a socket, and 0 at all addresses.
    return IPv4Address(packed[-4:]) if family is Family.IPV4 else IPv6Address(packed)


def owner_of(host: HostPort, proc: Path = PROC) -> str | None:
    """Return the process that listens on this port, for people: ``process 12 (nginx)``; None if not known.

    Other users' processes are known to root only.
    """
    wanted = {f"socket:[{inode}]" for inode in sockets_on(host, TAKES_CLIENTS[host.protocol], proc)}
    if not wanted:
        return None
    for process in sorted((one for one in proc.iterdir() if one.name.isdecimal()), key=lambda one: int(one.name)):
        if _has_file(process, wanted):
            return f"process {process.name} ({_command(process)})"
    return None


def _has_file(process: Path, wanted: set[str]) -> bool:
    try:
        return any(str(file.readlink()) in wanted for file in (process / "fd").iterdir())
    except OSError:
        return False  # It has ended, or is another user's.


def _command(process: Path) -> str:
    """Return the name of a process; not its arguments, which may be secret. Docker's proxy also names its container."""
    try:
        name = (process / "comm").read_text(errors="replace").strip()
        arguments = (process / "cmdline").read_text(errors="replace") if name == "docker-proxy" else ""
    except OSError:
        return "?"
    container = re.search(r"-container-ip\0(\S+?)\0", arguments)
    if container is not None:
        return f"{name}: Docker publishes it for the container at {container[1]}"
    return "".join(character if character.isprintable() else "?" for character in name)
