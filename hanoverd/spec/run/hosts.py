"""Names of hosts: ``--add-host``, ``--dns``, ``--dns-search``."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from hanoverd.text.quoting import quoted

_GATEWAY = "host-gateway"
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.?")
_LONGEST_DOMAIN = 255


def parse_extra_host(text: str) -> str:
    """Read ``HOST:IP`` or ``HOST=IP``, and return an entry of ``HostConfig.ExtraHosts``; ValueError, in docker's words."""
    separator = "=" if "=" in text else ":"
    host, found, address = text.partition(separator)
    if not (host and found) or (separator == "=" and ":" in host):
        raise ValueError(f"bad format for add-host: {quoted(text)}")
    if len(address) > len("[]") and address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != _GATEWAY and _address(address.strip()) is None:
        raise ValueError(f"invalid IP address in add-host: {quoted(address)}")
    return f"{host}:{address}"


def parse_address(text: str) -> str:
    """Return an IP address in its usual form; ValueError, in docker's words."""
    address = _address(text.strip())
    if address is None:
        raise ValueError(f"IP address is not correctly formatted: {text}")
    # Go writes an IPv4 address in IPv6 form as IPv4.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def parse_search_domain(text: str) -> str:
    """Return a domain without its last dot, or ``.`` for no domains; ValueError, in docker's words."""
    trimmed = text.strip(" ")
    if trimmed == ".":
        return trimmed
    domain = trimmed.removesuffix(".")
    if len(trimmed) < _LONGEST_DOMAIN and _DOMAIN.fullmatch(trimmed) and re.search("[A-Za-z]", domain):
        return domain
    raise ValueError(f"{trimmed} is not a valid domain")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None
