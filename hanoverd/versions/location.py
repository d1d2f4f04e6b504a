"""Where a running container answers, as the host reaches it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import address_of, addresses_of, network_mode_of
from hanoverd.runtime.errors import NotFound, VersionFailed
from hanoverd.spec.ports import LOOPBACK
from hanoverd.spec.reachability import CONTAINER_PREFIX, Reachability

PROC = Path("/proc")


@dataclass(frozen=True)
class Location:
    """``address`` is probed and routed to; it is empty where no probe can reach the container.

    ``addresses`` are the container's own addresses, one or two for each of its networks.  ``network`` are the addresses of the
    network of ``address``, such as ``172.17.0.0/16``.  ``address6`` and ``network6`` are the same for IPv6.  All but
    ``address`` are empty where there are none.
    """

    address: str
    addresses: tuple[str, ...] = ()
    network: str = ""
    address6: str = ""
    network6: str = ""


async def locate(engine: Engine, found: Mapping[str, Any], address: str | None = None, proc: Path = PROC) -> Location:
    """Return where a running container answers; ``found`` is its inspection.

    ``address`` is used if it is one of its own.  Otherwise it is the address in the network of its default gateway: only
    there the engine accepts connections from outside for the published ports.  Fails with ``VersionFailed`` if it has
    none, and with the ``EngineError`` family.
    """
    match Reachability.of(network_mode_of(found)):
        case Reachability.HOST:
            return Location(str(LOOPBACK))
        case Reachability.CONTAINER:
            return Location(await _address_of_other(engine, network_mode_of(found).removeprefix(CONTAINER_PREFIX)))
        case Reachability.NONE:
            return Location("")
        case Reachability.ROUTED:
            addresses = addresses_of(found)
            if address is None or address not in addresses:
                address = _address_at_gateway(found, proc) or address_of(found)
            return _location(address, found)


def _location(address: str, found: Mapping[str, Any]) -> Location:
    networks = [*(found["NetworkSettings"].get("Networks") or {}).values()]
    ipv6 = tuple(one["GlobalIPv6Address"] for one in networks if one.get("GlobalIPv6Address"))
    used: Mapping[str, Any] = next((one for one in networks if one.get("IPAddress") == address), {})
    address6 = used.get("GlobalIPv6Address") or ""
    return Location(
        address,
        (*addresses_of(found), *ipv6),
        _network(address, used.get("IPPrefixLen")),
        address6,
        _network(address6, used.get("GlobalIPv6PrefixLen")),
    )


def _network(address: str, bits: int | None) -> str:
    return str(ip_network(f"{address}/{bits}", strict=False)) if address and bits else ""


async def _address_of_other(engine: Engine, name: str) -> str:
    try:
        found = await engine.inspect_container(name)
    except NotFound:
        raise VersionFailed(f"it uses the network of the container {name}, which does not exist: create it") from None
    if not found["State"]["Running"]:
        raise VersionFailed(f"it uses the network of the container {name}, which does not run: start it")
    return (await locate(engine, found)).address


def _address_at_gateway(found: Mapping[str, Any], proc: Path) -> str | None:
    """Return the address in the network whose gateway is the default one; None where that cannot be seen.

    The engine does not report which of several networks it is.
    """
    networks = [one for one in (found["NetworkSettings"].get("Networks") or {}).values() if one.get("IPAddress")]
    if len(networks) > 1:
        gateway = default_gateway(found["State"].get("Pid") or 0, proc)
        return next((one["IPAddress"] for one in networks if gateway and one.get("Gateway") == gateway), None)
    return None


def default_gateway(pid: int, proc: Path = PROC) -> str | None:
    """Return the default IPv4 gateway of a process (proc_pid_net(5), ``route``); None where it has none."""
    try:
        lines = (proc / str(pid) / "net/route").read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        _, destination, gateway, _, _, _, _, mask, *_ = line.split()
        if int(destination, 16) == int(mask, 16) == 0:
            # The table prints each address as the number that the kernel has in memory.
            return socket.inet_ntoa(struct.pack("=I", int(gateway, 16)))
    return None
