"""The load that a site is under, which may stop for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.clients import Clients
from tests.lab.host import Lab


class Pressure:
    """Clients on the lab's second host, each request on a new connection; what they counted adds up."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._clients: Clients | None = None
        self.requests = self.failed = 0
        #: What the clients saw, once each.
        self.errors: list[str] = []

    def start(self) -> None:
        """Have them ask."""
        self._clients = Clients(self._lab.in_client, self._lab.host_ip, "8080", "--workers", "2", "--pause", "0.005")

    def finish(self) -> None:
        """Have them end; idempotent."""
        clients, self._clients = self._clients, None
        if clients is None:
            return
        counted = clients.finish()
        self.requests += counted["requests"]
        self.failed += counted["failed"]
        self.errors += [error for error in counted["errors"] if error not in self.errors]

    @contextmanager
    def off(self) -> Iterator[None]:
        """No load meanwhile: what could not be saved is not asked for."""
        self.finish()
        yield
        self.start()
