"""How clients reach the versions of an app: it follows from the network that ``--network`` names first."""

from __future__ import annotations

from enum import Enum


class Reachability(Enum):
    """How clients reach a version."""

    #: It has an address of its own, and firewall rules route the published ports to it.
    ROUTED = "routed"
    #: It listens on the host's own ports.
    HOST = "host"
    #: It listens on the ports of another container.
    CONTAINER = "container"
    #: It has a loopback interface only.
    NONE = "none"

    @classmethod
    def of(cls, network_mode: str) -> Reachability:
        """Return the reachability of a container with this ``HostConfig.NetworkMode``."""
        if network_mode in ("host", "none"):
            return cls(network_mode)
        return cls.CONTAINER if network_mode.startswith(CONTAINER_PREFIX) else cls.ROUTED

    @property
    def is_routed(self) -> bool:
        """Whether firewall rules route to it, and say which version is live."""
        return self is Reachability.ROUTED

    @property
    def shares_ports(self) -> bool:
        """Whether two versions would listen on the same ports, so that they cannot run side by side."""
        return self in (Reachability.HOST, Reachability.CONTAINER)

    @property
    def without_routes(self) -> str:
        """What to report of a live version instead of its routes."""
        return _WITHOUT_ROUTES[self]


#: Before the name of the container whose network is used.
CONTAINER_PREFIX = "container:"

_WITHOUT_ROUTES = {
    Reachability.ROUTED: "no port is published",
    Reachability.HOST: "it listens on the host's own ports",
    Reachability.CONTAINER: "it listens on the ports of another container",
    Reachability.NONE: "it has no network",
}
