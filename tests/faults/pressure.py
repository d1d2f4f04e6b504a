"""Load on the app, which can be interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.clients import Clients
from tests.lab.host import Lab


class Pressure:
    """Two clients on the lab's second host that use a new connection for each request; counts all of them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._clients: Clients | None = None
        self.requests = self.failed = 0
        #: The errors that the clients saw, without repeats.
        self.errors: list[str] = []

    def start(self) -> None:
        """Start the clients."""
        self._clients = Clients(self._lab.in_client, self._lab.host_ip, "8080", "--workers", "2", "--pause", "0.005")

    def finish(self) -> None:
        """Stop the clients when their requests are answered, and add up their counts; idempotent."""
        clients, self._clients = self._clients, None
        if clients is None:
            return
        counted = clients.finish()
        self.requests += counted["requests"]
        self.failed += counted["failed"]
        self.errors += [error for error in counted["errors"] if error not in self.errors]

    @contextmanager
    def off(self) -> Iterator[None]:
        """Send no requests meanwhile: the app cannot serve any."""
        self.finish()
        yield
        self.start()
