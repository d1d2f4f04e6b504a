"""Published ports: what ``--publish`` asks for, and the values that name a port from there to the firewall rule.

A ``ContainerPort`` is the engine's key of a port, a ``HostPort`` is ours: two published ports are in conflict exactly
where their host ports are. ``--publish`` makes a ``PortRequest``, which may leave the choice between several host ports;
with the one that was chosen it becomes a ``PublishedPort``.

The text is read as Docker's command line reads it (go-connections' ``nat.ParsePortSpec``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from hanoverd.text.addresses import bracketed

#: The highest number of a port.
HIGHEST_PORT = 65535

#: How many TCP ports an image may expose for hanoverd to probe them all, if none is published.
MOST_EXPOSED = 64

#: An address of either family.
IPAddress = IPv4Address | IPv6Address

#: Every IPv4 address of the host, and every IPv6 address.
ANY_IPV4, ANY_IPV6 = IPv4Address(0), IPv6Address(0)

#: Where the engine's proxy listens.
LOOPBACK, LOOPBACK_IPV6 = IPv4Address("127.0.0.1"), IPv6Address("::1")


class Family(StrEnum):
    """The family of an address."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Protocol(StrEnum):
    """The protocol of a port."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


def family_of(address: IPAddress) -> Family:
    """Return the family of an address."""
    return Family.IPV4 if isinstance(address, IPv4Address) else Family.IPV6


@dataclass(frozen=True, order=True)
class ContainerPort:
    """A port of a container."""

    number: int
    protocol: Protocol = Protocol.TCP

    def __str__(self) -> str:
        """As the engine's API writes it: ``80/tcp``."""
        return f"{self.number}/{self.protocol}"

    @classmethod
    def parse(cls, text: str) -> ContainerPort:
        """Read ``80/tcp``, or ``80`` as images of other builders have it (OCI image specification, ExposedPorts).

        ValueError for anything else.
        """
        number, _, protocol = text.partition("/")
        return cls(_port_number(number), Protocol(protocol.lower() or Protocol.TCP))


@dataclass(frozen=True)
class HostPort:
    """A port of the host, at one of its addresses or, where ``address`` is unspecified, at all of the family."""

    address: IPAddress
    number: int
    protocol: Protocol = Protocol.TCP

    def __str__(self) -> str:
        """``0.0.0.0:8080``, and ``[::]:8080`` for IPv6."""
        return f"{bracketed(str(self.address))}:{self.number}"

    @property
    def family(self) -> Family:
        """The family of the address."""
        return family_of(self.address)

    @property
    def is_at_any_address(self) -> bool:
        """Whether it is the port at all addresses of the host."""
        return self.address.is_unspecified

    def conflicts_with(self, other: HostPort) -> bool:
        """Return whether a packet can be addressed to both."""
        if (self.family, self.protocol, self.number) != (other.family, other.protocol, other.number):
            return False
        return self.address == other.address or self.is_at_any_address or other.is_at_any_address


@dataclass(frozen=True)
class PublishedPort:
    """A port of the container, and the host port where clients reach it."""

    host: HostPort
    container: ContainerPort


@dataclass(frozen=True)
class PortRequest:
    """A port of the container to publish, and the host ports of which one will be chosen for it.

    ``numbers`` None stands for any free port, ``address`` None for all addresses of the host, of both families.
    """

    container: ContainerPort
    numbers: range | None = None
    address: IPAddress | None = None

    def __str__(self) -> str:
        """As ``--publish`` takes it: ``10.0.0.1:8080-8090:80/tcp``."""
        address = "" if self.address is None else f"{bracketed(str(self.address))}:"
        numbers = ""
        if self.numbers is not None:
            numbers = f"{self.numbers[0]}" if len(self.numbers) == 1 else f"{self.numbers[0]}-{self.numbers[-1]}"
        return f"{address}{numbers}:{self.container}" if address or numbers else str(self.container)

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The addresses at which it is published: one of each family, unless one address was asked for."""
        return (ANY_IPV4, ANY_IPV6) if self.address is None else (self.address,)

    @property
    def only_number(self) -> int | None:
        """The number of the host port, where there is no choice."""
        return self.numbers[0] if self.numbers is not None and len(self.numbers) == 1 else None

    def accepts(self, number: int) -> bool:
        """Return whether the host port of this number may be chosen."""
        return self.numbers is None or number in self.numbers

    def published_at(self, number: int) -> tuple[PublishedPort, ...]:
        """Return the port as it is published, at each address, once the host port ``number`` was chosen."""
        hosts = (HostPort(address, number, self.container.protocol) for address in self.addresses)
        return tuple(PublishedPort(host, self.container) for host in hosts)


def certain_ports(requests: Sequence[PortRequest]) -> list[PublishedPort]:
    """Return what is published of the requests that leave no choice of the host port."""
    return [
        port
        for request in requests
        if request.only_number is not None
        for port in request.published_at(request.only_number)
    ]


def parse_publish(text: str) -> tuple[PortRequest, ...]:
    """Read ``[[IP:][HOST[-HOST]]:]PORT[-PORT][/PROTO]``, or ``published=HOST,target=PORT[,protocol=PROTO]``.

    A range for a range publishes them pair by pair, a range for one port publishes it on any free one of
    them.  ValueError, in docker's words.
    """
    spec = _short_form(text) if "=" in text else text
    address_text, host, container = _split_sections(spec)
    container, protocol = _split_protocol(container)
    address = _parse_address(address_text)
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    targets = _parse_range(container, f"invalid containerPort: {container}")
    hosts = _parse_range(host, f"invalid hostPort: {host}") if host else None
    if hosts is not None and len(hosts) != len(targets) != 1:
        raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    if protocol.lower() not in list(Protocol):
        raise ValueError(f"invalid proto: {protocol}")
    return tuple(
        PortRequest(
            ContainerPort(target, Protocol(protocol.lower())), _host_numbers(hosts, index, len(targets)), address
        )
        for index, target in enumerate(targets)
    )


def check_supported(requests: Sequence[PortRequest]) -> None:
    """Raise ValueError for what docker publishes and hanoverd cannot publish: SCTP, link-local addresses, port 0."""
    for request in requests:
        if request.container.protocol is Protocol.SCTP:
            raise ValueError(
                "sctp cannot be published, only tcp and udp: SCTP endpoints tell each other their addresses inside their packets, "
                "where the kernel does not translate them"
            )
        if isinstance(request.address, IPv6Address) and request.address.is_link_local:
            raise ValueError(
                f"{request.address} is a link-local address, which is valid on one network interface only: publish the port "
                "at [::]"
            )
        if request.container.number == 0:
            raise ValueError("invalid containerPort: 0 (no server can be reached on port 0)")


def check_conflicts(requests: Sequence[PortRequest]) -> None:
    """Raise ValueError where two ports of the container need the same host port."""
    certain: dict[tuple[Family, Protocol, int], list[PublishedPort]] = {}
    for port in certain_ports(requests):
        host = port.host
        at_number = certain.setdefault((host.family, host.protocol, host.number), [])
        for other in at_number:
            if host.conflicts_with(other.host):
                raise ValueError(
                    f"host port {host.number} is published twice, for port {other.container.number} and for port "
                    f"{port.container.number}: choose another host port for one of them"
                )
        at_number.append(port)


def _short_form(text: str) -> str:
    values = {"published": "", "target": "", "protocol": "tcp"}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not (key and equals):
            raise ValueError(f"invalid publish opts format (should be name=value but got '{field}')")
        values[key] = value
    return f"{values['published']}:{values['target']}/{values['protocol']}"


def _split_sections(spec: str) -> tuple[str, str, str]:
    """Return the address, the host's ports and the container's: split from the right, as IPv6 has colons too."""
    rest, _, container = spec.rpartition(":")
    address, _, host = rest.rpartition(":")
    return address, host, container


def _split_protocol(container: str) -> tuple[str, str]:
    ports, _, rest = container.partition("/")
    return ports, rest.partition("/")[0] or "tcp"


def _parse_address(text: str) -> IPAddress | None:
    address = _without_brackets(text) if text.startswith("[") else text
    if not address:
        return None
    try:
        if ":" not in address:
            return IPv4Address(address)
        # Python accepts a zone after a %, Go does not.
        return IPv6Address(address.replace("%", " "))
    except ValueError:
        raise ValueError(f"invalid IP address: {address}") from None


def _without_brackets(text: str) -> str:
    """Return the text between the brackets (Go's ``net.SplitHostPort``, called with a colon after the text)."""
    inside, closed, after = text[1:].partition("]")
    reason = None
    if not closed:
        reason = "missing ']' in address"
    elif after.startswith(":"):
        reason = "too many colons in address"
    elif after:
        reason = "missing port in address"
    elif "[" in inside:
        reason = "unexpected '[' in address"
    if reason:
        raise ValueError(f"invalid IP address {text}: address {text}:: {reason}")
    return inside


def _parse_range(text: str, problem: str) -> range:
    ends = text.split("-")[:2] if "-" in text else [text, text]
    try:
        first, last = (_port_number(end) for end in ends)
    except ValueError:
        raise ValueError(problem) from None
    if first > last:
        raise ValueError(problem)
    return range(first, last + 1)


def _port_number(text: str) -> int:
    if not re.fullmatch("[0-9]+", text) or int(text) > HIGHEST_PORT:
        raise ValueError(f"{text!r} is not the number of a port")
    return int(text)


def _host_numbers(hosts: range | None, index: int, targets: int) -> range | None:
    if hosts is None:
        return None
    numbers = hosts if targets == 1 else hosts[index : index + 1]
    # To the engine the host port 0 means any free one.
    return (numbers[1:] or None) if numbers.start == 0 else numbers
