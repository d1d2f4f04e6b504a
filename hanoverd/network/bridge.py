"""How this host and what it forwards reach the containers on a bridge network, from the kernel's files in /proc."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

PROC = Path("/proc")


def can_reach_from_loopback(address: str, proc: Path = PROC) -> bool:
    """Return whether the kernel lets a packet from 127.0.0.1 out to the container at ``address``.

    Usually it does not, and clients on this host go through the engine's proxy on loopback. An engine with
    ``userland-proxy=false`` has no proxy, and sets ``route_localnet`` (ip-sysctl.rst in the kernel's documentation) instead.
    """
    interface = _interface_to(address, proc)
    if interface is None:
        return False
    try:
        return (proc / "sys/net/ipv4/conf" / interface / "route_localnet").read_text().strip() == "1"
    except OSError:
        return False


def forwards_packets(proc: Path = PROC) -> bool | None:
    """Return whether the kernel forwards IPv4 packets between its interfaces (ip-sysctl.rst, ``ip_forward``).

    None where that cannot be read.
    """
    try:
        return (proc / "sys/net/ipv4/ip_forward").read_text().strip() != "0"
    except OSError:
        return None


def _interface_to(address: str, proc: Path) -> str | None:
    """Return the interface of the directly connected network that holds ``address``."""
    try:
        lines = (proc / "net/route").read_text().splitlines()[1:]
    except OSError:
        return None
    # The table prints each address as the number that the kernel has in memory.
    (wanted,) = struct.unpack("=I", socket.inet_aton(address))
    for line in lines:
        interface, destination, gateway, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16) and gateway == "00000000" and wanted & int(mask, 16) == int(destination, 16):
            return interface
    return None
