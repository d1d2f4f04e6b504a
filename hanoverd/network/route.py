"""Where a published port leads to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hanoverd.spec.ports import HostPort, Protocol, PublishedPort
from hanoverd.text.addresses import bracketed


@dataclass(frozen=True)
class Route:
    """A published port, and the container that its connections go to.

    The container is reached at ``address`` through the bridge, and at ``proxy`` through the engine's proxy; None where
    the engine has no proxy.  ``network`` are the addresses of the container's network, such as ``172.17.0.0/16``; empty
    where they are not known.  ``is_relayed``: no rule leads there, hanoverd relays the connections itself.
    """

    port: PublishedPort
    address: str
    proxy: HostPort | None
    network: str = ""
    is_relayed: bool = False

    def __str__(self) -> str:
        """For people: ``0.0.0.0:8080 -> 172.17.0.2:80``, and ``0.0.0.0:53/udp -> 172.17.0.2:53``."""
        protocol = self.port.host.protocol
        return f"{self.port.host}{'' if protocol is Protocol.TCP else f'/{protocol}'} -> {self.destination}"

    @property
    def destination(self) -> str:
        """Where the container answers: ``172.17.0.2:80``, and ``[fd00::2]:80`` for IPv6."""
        return f"{bracketed(self.address)}:{self.port.container.number}"

    def json(self) -> dict[str, object]:
        """For programs."""
        return {
            "host_ip": str(self.port.host.address),
            "host_port": self.port.host.number,
            "container_ip": self.address,
            "container_port": self.port.container.number,
            "protocol": str(self.port.host.protocol),
        }


def runs_of(routes: Sequence[Route]) -> list[list[Route]]:
    """Group the routes of which one rule can be made: of consecutive ports that are the same in the container.

    The kernel needs time for each rule.  There is a form of DNAT for other ports too, ``ADDRESS:9000-9499/8000``, but where a
    client uses one port of its own for two addresses of this host, the kernel takes the next port of such a range.
    """
    runs: list[list[Route]] = []
    for route in routes:
        if runs and _follows(runs[-1][-1], route):
            runs[-1].append(route)
        else:
            runs.append([route])
    return runs


def _follows(one: Route, other: Route) -> bool:
    first, second = one.port.host, other.port.host
    return (
        (one.address, one.proxy is None) == (other.address, other.proxy is None)
        and (first.address, first.protocol, first.number + 1) == (second.address, second.protocol, second.number)
        and all(route.port.host.number == route.port.container.number for route in (one, other))
    )
