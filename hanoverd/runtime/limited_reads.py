"""Endpoints whose connections end when the server has sent too much."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, RequestGenerationFailed, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hanoverd.text.lines import shortened

#: How much of an answer an HTTP client needs whose reader closes the connection after the headers, in bytes.
HEADERS_ONLY = 128 * 1024

#: How much of an error is shown, in characters: it may repeat a part of the answer.
LONGEST_REASON = 200


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class LimitedReads:
    """Connects as ``endpoint`` does, whatever the URL; a connection is dropped when it has received more than ``most`` bytes.

    An HTTP client keeps all headers of a response, and has no limit for them (twisted.web's HTTPClientParser).
    """

    def __init__(self, endpoint: IStreamClientEndpoint, most: int = HEADERS_ONLY) -> None:
        self._endpoint = endpoint
        self._most = most
        #: Whether a connection was dropped.
        self.is_exceeded = False

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        """Return itself."""
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the protocol of the factory. Cancel ends the attempt."""
        # Otherwise Twisted logs two lines for each connection.
        protocolFactory.noisy = False  # type: ignore[attr-defined]  # every Factory has it
        factory: Any = _Factory(protocolFactory, self._most, self)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda limited: limited.wrappedProtocol)

    def describe(self, error: Exception) -> str:
        """Return why an HTTP request failed, in a few words."""
        if self.is_exceeded:
            return f"the answer is too long: more than {self._most // 1024} KiB"
        cause = innermost(error)
        return shortened(str(cause).strip(". ") or type(cause).__name__, LONGEST_REASON)


class _Limited(ProtocolWrapper):
    """Counts what is received."""

    _received = 0

    def dataReceived(self, data: bytes) -> None:
        """Pass the data on, or drop the connection."""
        self._received += len(data)
        factory: Any = self.factory
        if self._received > factory.most:
            factory.owner.is_exceeded = True
            self.abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's


class _Factory(WrappingFactory[_Limited]):
    """Makes the counting protocols."""

    protocol = _Limited
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, most: int, owner: LimitedReads) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]  # as above
        self.most = most
        self.owner = owner


def innermost(error: Exception) -> Exception:
    """Return the innermost reason: Twisted's HTTP client wraps it in errors of its own."""
    if isinstance(error, (ResponseFailed, RequestGenerationFailed)) and error.args and error.args[0]:
        return innermost(error.args[0][0].value)
    return error
