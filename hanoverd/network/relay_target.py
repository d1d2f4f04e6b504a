"""Where a relay sends what it receives."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A port of a version's container: its address, of either family, and the version's name."""

    address: str
    port: int
    version: str

    def new_socket(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a new socket of the address's family, which does not block.  OSError if there is none."""
        made = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, kind)
        made.setblocking(False)  # noqa: FBT003  # as Python has it
        return made
