"""What all probes of a port have in common: the result, and the connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

#: The time limit of a probe, in seconds.
PROBE_TIMEOUT = 5.0


class ProbeTimedOut(Exception):
    """A port did not answer a probe in time."""


@dataclass(frozen=True)
class ProbeResult:
    """The answer of one port: whether it ``accepts`` connections, whether the probe ``succeeded``, and a ``summary`` of both
    for people.
    """

    port: int
    accepts: bool
    succeeded: bool
    summary: str


class Prober(Protocol):
    """Probes the ports of containers."""

    async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> ProbeResult:
        """Probe a port once; fails with ``CancelledError`` alone.

        ``on_accept`` is called as soon as the port has accepted the connection.  Cancel closes the connection.
        """


@implementer(IStreamClientEndpoint)
class ProbeConnection:
    """The connection of one probe: it calls ``on_accept`` when it is made, and can be closed."""

    def __init__(self, endpoint: IStreamClientEndpoint, on_accept: Callable[[], object]) -> None:
        self._endpoint = endpoint
        self._on_accept = on_accept
        self._transport: ITransport | None = None

    @property
    def accepted(self) -> bool:
        """Whether it was made."""
        return self._transport is not None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect as the endpoint does."""
        return self._endpoint.connect(protocolFactory).addCallback(self._connected)

    def close(self) -> None:
        """Close it, if it was made.  Idempotent."""
        if self._transport is not None:
            self._transport.loseConnection()

    def _connected(self, protocol: IProtocol) -> IProtocol:
        self._transport = protocol.transport  # type: ignore[attr-defined]  # every Protocol has one
        self._on_accept()
        return protocol


def timed_out(_result: object, seconds: float) -> Failure:
    """Return the failure of a probe that took longer than ``seconds``, whatever it had failed with."""
    return Failure(ProbeTimedOut(f"no answer within {seconds:g} seconds"))
