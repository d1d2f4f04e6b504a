"""Endpoints whose connections end when the server has sent too much."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer


@implementer(IStreamClientEndpoint)
class LimitedReads:
    """Connects as ``endpoint`` does; a connection is dropped when it has received more than ``most`` bytes.

    An HTTP client keeps all headers of a response, and has no limit for them (twisted.web's HTTPClientParser).
    """

    def __init__(self, endpoint: IStreamClientEndpoint, most: int) -> None:
        self._endpoint = endpoint
        self._most = most

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the protocol of the factory. Cancel ends the attempt."""
        factory: Any = _Factory(protocolFactory, self._most)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda limited: limited.wrappedProtocol)


class _Limited(ProtocolWrapper):
    """Counts what is received."""

    _received = 0

    def dataReceived(self, data: bytes) -> None:
        """Pass the data on, or drop the connection."""
        self._received += len(data)
        factory: Any = self.factory
        if self._received > factory.most:
            self.abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's


class _Factory(WrappingFactory[_Limited]):
    """Makes the counting protocols."""

    protocol = _Limited
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, most: int) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]  # as above
        self.most = most
