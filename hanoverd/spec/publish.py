"""Published ports, as Docker's command line reads ``--publish`` (go-connections' ``nat.ParsePortSpec``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

_HIGHEST_PORT = 65535
_PROTOCOLS = ("tcp", "udp", "sctp")
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # what publishing without an address means


@dataclass(frozen=True)
class Publish:
    """One port of the container, and where clients find it on the host.

    ``host_ip`` None means all addresses.  ``host_port`` holds the ports that will do, of which one is picked;
    None means any free one.
    """

    host_ip: str | None
    host_port: range | None
    container_port: int
    protocol: str = "tcp"


def parse_publish(text: str) -> tuple[Publish, ...]:
    """Read ``[[IP:][HOST[-HOST]]:]PORT[-PORT][/PROTO]``, or ``published=HOST,target=PORT[,protocol=PROTO]``.

    A range for a range publishes them pair by pair, a range for one port publishes it on any free one of
    them.  ValueError in docker's words; also for what only docker can publish so far: other protocols, IPv6.
    """
    spec = _short_form(text) if "=" in text else text
    address, host, container = _sections(spec)
    container, protocol = _split_protocol(container)
    host_ip = _host_ip(address)
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    targets = _port_range(container, f"invalid containerPort: {container}")
    hosts = _port_range(host, f"invalid hostPort: {host}") if host else None
    if hosts is not None and len(hosts) != len(targets) != 1:
        raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    _check_protocol(protocol)
    if targets.start == 0:
        raise ValueError(f"invalid containerPort: {container} (nothing can be reached on port 0)")
    return tuple(
        Publish(host_ip, _host_range(hosts, index, len(targets)), target) for index, target in enumerate(targets)
    )


def check_publish(published: Sequence[Publish]) -> None:
    """ValueError where one host port is to lead to two ports."""
    seen: list[Publish] = []
    for publish in published:
        for other in seen:
            if _only_port(publish) == _only_port(other) is not None and _addresses_overlap(publish, other):
                raise ValueError(
                    f"host port {_only_port(publish)} is published twice, for port {other.container_port} "
                    f"and for port {publish.container_port}: give one of them another host port"
                )
        seen.append(publish)


def _short_form(text: str) -> str:
    values = {"published": "", "target": "", "protocol": "tcp"}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not (key and equals):
            raise ValueError(f"invalid publish opts format (should be name=value but got '{field}')")
        values[key] = value
    return f"{values['published']}:{values['target']}/{values['protocol']}"


def _sections(spec: str) -> tuple[str, str, str]:
    """The address, the host's ports and the container's: cut from the right, as IPv6 has colons too."""
    rest, _, container = spec.rpartition(":")
    address, _, host = rest.rpartition(":")
    return address, host, container


def _split_protocol(container: str) -> tuple[str, str]:
    ports, _, rest = container.partition("/")
    return ports, rest.partition("/")[0] or "tcp"


def _host_ip(text: str) -> str | None:
    address = _without_brackets(text) if text.startswith("[") else text
    if address in ("", _ANY_ADDRESS):
        return None
    try:
        if ":" not in address:
            return str(IPv4Address(address))
        # Python takes a zone behind a %, Go does not.
        IPv6Address(address.replace("%", " "))
    except ValueError:
        raise ValueError(f"invalid IP address: {address}") from None
    raise ValueError(f"only IPv4 is published so far, and {address} is IPv6: give an IPv4 address, or none")


def _without_brackets(text: str) -> str:
    """What stands between the brackets (Go's ``net.SplitHostPort``, given it with a colon)."""
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


def _port_range(text: str, complaint: str) -> range:
    ends = text.split("-")[:2] if "-" in text else [text, text]
    if not all(re.fullmatch("[0-9]+", end) for end in ends):
        raise ValueError(complaint)
    first, last = (int(end) for end in ends)
    if not first <= last <= _HIGHEST_PORT:
        raise ValueError(complaint)
    return range(first, last + 1)


def _check_protocol(protocol: str) -> None:
    if protocol.lower() not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    if protocol.lower() != "tcp":
        raise ValueError(f"{protocol} cannot be published so far, only tcp")


def _host_range(hosts: range | None, index: int, targets: int) -> range | None:
    if hosts is None:
        return None
    mine = hosts if targets == 1 else hosts[index : index + 1]
    # To the engine the host port 0 means any free one.
    return (mine[1:] or None) if mine.start == 0 else mine


def _only_port(publish: Publish) -> int | None:
    return publish.host_port.start if publish.host_port is not None and len(publish.host_port) == 1 else None


def _addresses_overlap(one: Publish, other: Publish) -> bool:
    return one.host_ip is None or other.host_ip is None or one.host_ip == other.host_ip
