"""How the Docker engine is set up, as far as it decides who reaches a published port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineSetup:
    """The engine's version, and what it makes its firewall rules with: ``iptables``, ``nftables+firewalld``, ...

    ``firewall`` is empty for an engine before 28.1, which has iptables only.
    """

    version: str = ""
    firewall: str = ""

    @property
    def uses_nftables(self) -> bool:
        """Whether its rules are not among those of iptables."""
        return self.firewall.partition("+")[0] == "nftables"

    def __str__(self) -> str:
        """As a message names it."""
        return f"Docker {self.version}" if self.version else "the Docker engine"
