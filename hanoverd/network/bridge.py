"""How this host reaches the containers of a bridge, as the kernel tells it in /proc."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

PROC = Path("/proc")


def lets_loopback_through(address: str, proc: Path = PROC) -> bool:
    """Whether a packet from 127.0.0.1 may be led straight to the container at ``address``.

    An engine with ``userland-proxy=false`` has no proxy on loopback to lead it to, and allows this instead
    (``route_localnet``, ip-sysctl.rst in the kernel's documentation).
    """
    interface = _interface_to(address, proc)
    if interface is None:
        return False
    try:
        return (proc / "sys/net/ipv4/conf" / interface / "route_localnet").read_text().strip() == "1"
    except OSError:
        return False


def _interface_to(address: str, proc: Path) -> str | None:
    """The interface of the directly connected network that holds ``address``."""
    try:
        lines = (proc / "net/route").read_text().splitlines()[1:]
    except OSError:
        return None
    # The table holds addresses as the kernel does in memory, printed as one number.
    (wanted,) = struct.unpack("=I", socket.inet_aton(address))
    for line in lines:
        interface, destination, gateway, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16) and gateway == "00000000" and wanted & int(mask, 16) == int(destination, 16):
            return interface
    return None
