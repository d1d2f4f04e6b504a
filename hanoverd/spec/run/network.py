"""Networks: ``--network`` in both forms, the options of its endpoint, ``--mac-address`` and ``--link``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hanoverd.text.comma_fields import comma_fields
from hanoverd.text.numbers import parse_integer

#: How the long form of ``--network`` is recognised.
_LONG_FORM = re.compile(r"\w+=\w+", re.ASCII)

#: Networks that no user has defined.
_PREDEFINED = frozenset({"", "default", "bridge", "host", "none"})
_CONTAINER = "container:"

_MAC = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2})*|[0-9a-f]{4}(?:\.[0-9a-f]{4})+", re.IGNORECASE)
_MAC_LENGTHS = frozenset({6, 8, 20})

#: HOST and ALIAS.
_MOST_LINK_PARTS = 2


@dataclass(frozen=True)
class Endpoint:
    """The connection of a container to one network; without a name, the options that are for the first network."""

    network: str = ""
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    link_local_ips: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    driver_options: tuple[tuple[str, str], ...] = ()
    gateway_priority: int = 0

    @property
    def settings(self) -> dict[str, object]:
        """The engine's ``EndpointSettings``, without what is empty."""
        addresses = {"IPv4Address": self.ip, "IPv6Address": self.ip6, "LinkLocalIPs": [*self.link_local_ips]}
        settings: dict[str, object] = {
            "IPAMConfig": {key: value for key, value in addresses.items() if value},
            "Links": [*self.links],
            "Aliases": [*self.aliases],
            "MacAddress": self.mac_address,
            "DriverOpts": dict(self.driver_options),
            "GwPriority": self.gateway_priority,
        }
        return {key: value for key, value in settings.items() if value}

    @property
    def fixed_address(self) -> str | None:
        """The option that sets an address, which two versions cannot share; None if there is none."""
        fixed = {
            "--ip": self.ip,
            "--ip6": self.ip6,
            "--link-local-ip": self.link_local_ips,
            "--mac-address": self.mac_address,
        }
        return next((flag for flag, value in fixed.items() if value), None)


@dataclass
class _Draft:
    """A network in the long form whose fields are being read."""

    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)


def parse_network(text: str) -> Endpoint:
    """Read ``NETWORK``, or ``name=NETWORK[,KEY=VALUE...]``; ValueError, in docker's words."""
    if not _LONG_FORM.search(text):
        return Endpoint(text)
    draft = _Draft()
    # Docker lowers the case of all of it.
    for entry in comma_fields(text.lower()):
        _take(draft, entry)
    values, lists = draft.values, draft.lists
    if not values.get("name"):
        raise ValueError("network name/id is not specified")
    options = (one.partition("=") for one in lists.get("driver-opt", ()))
    return Endpoint(
        values["name"],
        tuple(lists.get("alias", ())),
        values.get("ip", ""),
        values.get("ip6", ""),
        values.get("mac-address", ""),
        tuple(lists.get("link-local-ip", ())),
        driver_options=tuple((key.strip(), value.strip()) for key, _, value in options),
        gateway_priority=int(values.get("gw-priority", "0")),
    )


def parse_mac_address(text: str) -> str:
    """Check a hardware address of 6, 8 or 20 bytes; an empty one means none.  ValueError, in docker's words."""
    stripped = text.strip()
    if text and not (_MAC.fullmatch(stripped) and len(re.sub("[:.-]", "", stripped)) // 2 in _MAC_LENGTHS):
        raise ValueError(f"{text} is not a valid mac address")
    return text


def parse_link(text: str) -> str:
    """Check ``CONTAINER[:ALIAS]``; ValueError, in docker's words."""
    if not text:
        raise ValueError("empty string specified for links")
    if len(text.split(":")) > _MOST_LINK_PARTS:
        raise ValueError(f"bad format for links: {text}")
    return text


def endpoints(networks: Sequence[Endpoint], options: Endpoint) -> tuple[Endpoint, ...]:
    """Return the endpoints, with ``options`` in the first one; the default network if there is none.

    ValueError, in docker's words, if the options do not go together.
    """
    first, *others = networks or [Endpoint("default")]
    found: list[Endpoint] = []
    for index, one in enumerate((first, *others)):
        if not one.network:
            raise ValueError("no name set for network")
        complete = _with_options(one, options) if index == 0 else one
        if complete.aliases and not is_user_defined(one.network):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        if any(other.network == one.network for other in found):
            raise ValueError(f'network "{one.network}" is specified multiple times')
        found.append(complete)
    if others and not all(is_user_defined(one.network) for one in found):
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return tuple(found)


def networking(found: Sequence[Endpoint]) -> dict[str, object]:
    """Return the places of the create request that the endpoints fill."""
    by_network = {one.network: one.settings for one in found if one.settings or len(found) > 1}
    settings: dict[str, object] = {"HostConfig.NetworkMode": found[0].network}
    if by_network:
        settings["NetworkingConfig.EndpointsConfig"] = by_network
    return settings


def is_user_defined(network: str) -> bool:
    """Whether a user has defined the network, by its name alone."""
    return network not in _PREDEFINED and not network.startswith(_CONTAINER)


def _take(draft: _Draft, entry: str) -> None:
    key, equals, value = entry.partition("=")
    if not equals:
        raise ValueError(f"invalid field {entry}")
    key, value = key.strip(), value.strip()
    if key in ("alias", "link-local-ip"):
        draft.lists.setdefault(key, []).append(value)
    elif key == "driver-opt":
        if "=" not in value:
            raise ValueError("invalid key value pair format in driver options")
        draft.lists.setdefault(key, []).append(value)
    elif key == "gw-priority":
        draft.values[key] = str(_priority(value))
    elif key in ("name", "ip", "ip6", "mac-address"):
        draft.values[key] = parse_mac_address(value) if key == "mac-address" else value
    else:
        raise ValueError(f"invalid field key {key}")


def _priority(text: str) -> int:
    try:
        return parse_integer(text, base=10)
    except ValueError as error:
        raise ValueError(f"invalid gw-priority ({text}): {str(error).rpartition(': ')[2]}") from None


def _with_options(endpoint: Endpoint, options: Endpoint) -> Endpoint:
    for name, own, given in (
        ("--network-alias and per-network alias", endpoint.aliases, options.aliases),
        ("--ip and per-network IPv4 address", endpoint.ip, options.ip),
        ("--ip6 and per-network IPv6 address", endpoint.ip6, options.ip6),
        ("--link-local-ip and per-network link-local IP addresses", endpoint.link_local_ips, options.link_local_ips),
        ("--mac-address and per-network MAC address", endpoint.mac_address, options.mac_address),
    ):
        if own and given:
            flag, _, rest = name.partition(" and ")
            raise ValueError(f"conflicting options: cannot specify both {flag} and {rest}")
    return replace(
        endpoint,
        aliases=endpoint.aliases or options.aliases,
        ip=endpoint.ip or options.ip,
        ip6=endpoint.ip6 or options.ip6,
        link_local_ips=endpoint.link_local_ips or options.link_local_ips,
        mac_address=endpoint.mac_address or options.mac_address,
        links=options.links if is_user_defined(endpoint.network) else (),
    )
