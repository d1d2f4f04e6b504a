"""The states of one version: ``Container``, ``Created``, ``Running``, ``Ready``; ``network.routes`` adds ``Live``.

Each type is made by one step only: ``Versions.create`` makes a ``Created``, ``Versions.start`` a ``Running``,
``Versions.wait_until_ready`` a ``Ready``, and only the flip a ``Live``.  Steps in a wrong order do not type-check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hanoverd.spec.container import Image, Recipe
from hanoverd.spec.events import VersionReference
from hanoverd.spec.ports import ContainerPort, HostPort, Protocol
from hanoverd.versions.monitor import ContainerMonitor


@dataclass(frozen=True)
class Container:
    """A version's container.  ``id`` is "" until the engine has confirmed its creation; a rename does not change it."""

    number: int
    name: str
    id: str = ""

    @property
    def ref(self) -> str:
        """The ID or name for requests to the engine."""
        return self.id or self.name

    @property
    def version_reference(self) -> VersionReference:
        """What events call it."""
        return VersionReference(self.name, self.id)


@dataclass(frozen=True)
class Created:
    """A container that was created, of ``recipe``, at the Unix time ``at``, and not started."""

    container: Container
    recipe: Recipe
    ports: tuple[ContainerPort, ...]
    at: float = 0.0

    @property
    def name(self) -> str:
        """The container's name."""
        return self.container.name

    @property
    def port_numbers(self) -> list[int]:
        """The numbers of the TCP ports that are probed."""
        return [port.number for port in self.ports if port.protocol is Protocol.TCP]

    @property
    def image(self) -> Image:
        """The image that it runs."""
        return self.recipe.image


@dataclass(frozen=True)
class IPv6Side:
    """Where a container answers over IPv6: its address, its network's addresses, and the ports of the engine's proxy."""

    address: str
    network: str
    proxy_ports: Mapping[ContainerPort, HostPort]


@dataclass(frozen=True)
class Running:
    """A container that was started: where it answers, and its monitor.

    ``addresses`` are all its own addresses, one or two for each of its networks, ``address`` the IPv4 address that is probed
    and routed to, and ``network`` are the addresses of its network; see ``Location``.  ``proxy_ports`` maps its published ports
    to those where the engine's proxy listens.  ``ipv6`` is None without an IPv6 address in that network.  ``pid`` is its
    process on this host, 0 if not known.
    """

    created: Created
    address: str
    addresses: tuple[str, ...]
    proxy_ports: Mapping[ContainerPort, HostPort]
    monitor: ContainerMonitor = field(compare=False)
    network: str = ""
    ipv6: IPv6Side | None = None
    pid: int = 0

    @property
    def container(self) -> Container:
        """Its container."""
        return self.created.container

    @property
    def number(self) -> int:
        """Its version's number."""
        return self.container.number

    @property
    def name(self) -> str:
        """The container's name."""
        return self.container.name

    @property
    def has_exited(self) -> bool:
        """Whether it has exited."""
        return self.monitor.exit.is_settled


@dataclass(frozen=True)
class Ready:
    """A container whose readiness check has passed."""

    running: Running

    @property
    def name(self) -> str:
        """The container's name."""
        return self.running.name
