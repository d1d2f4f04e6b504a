"""Which networks the engine publishes ports on, from its description of a network. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Drivers whose containers have addresses in a network outside the host, and which ignore published ports.
_WITHOUT_PORTS = ("macvlan", "ipvlan")

#: The option of a bridge network that says how packets reach its containers, and its values with which nothing is forwarded
#: from the host's ports: ``routed`` (Docker 27) and ``isolated`` (Docker 28; "Packet filtering and firewalls" in Docker's
#: documentation).
_GATEWAY_MODE = "com.docker.network.bridge.gateway_mode_ipv4"
_MODES_WITHOUT_PORTS = ("routed", "isolated")


def why_unpublished(network: Mapping[str, Any]) -> str | None:
    """Return why the engine publishes no port of a container on this network; None where it does."""
    if network.get("Internal"):
        return "it is internal"
    if network.get("Driver") in _WITHOUT_PORTS:
        return f"its driver is {network['Driver']}"
    mode = (network.get("Options") or {}).get(_GATEWAY_MODE)
    return f"its option {_GATEWAY_MODE} is {mode}" if mode in _MODES_WITHOUT_PORTS else None
