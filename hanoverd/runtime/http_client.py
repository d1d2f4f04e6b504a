"""What Twisted's HTTP client lacks: a limit on what it reads, and errors in a few words."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.web.client import URI, RequestGenerationFailed, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

#: How much of an answer is read, in bytes, if its reader does not close the connection before.
LONGEST_ANSWER = 64 * 1024

#: How much of an error is shown, in characters: it may repeat a part of the answer.
LONGEST_REASON = 200


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class LimitedEndpoint:
    """Connects to ``endpoint``, whatever the URL, and aborts a connection that receives more than ``LONGEST_ANSWER`` bytes.

    The client reads headers, and answers before the last one (1xx), without end.
    """

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint
        self._received = 0
        #: Whether a connection was aborted.
        self.is_exceeded = False
        #: Whether the reader has all that it wants, and closes the connection itself.
        self.is_answered = False

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        """Return itself."""
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; cancel stops it."""
        # Otherwise Twisted logs two lines for each connection.
        protocolFactory.noisy = False  # type: ignore[attr-defined]  # every Factory has it
        return self._endpoint.connect(protocolFactory).addCallback(self._limit)

    def describe(self, error: Exception) -> str:
        """Return why a request failed, in a few words."""
        if self.is_exceeded:
            return f"the answer has more than {LONGEST_ANSWER // 1024} KiB of headers"
        text = _innermost(error)
        return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"

    def _limit(self, protocol: IProtocol) -> IProtocol:
        take: Callable[[bytes], object] = protocol.dataReceived
        transport = protocol.transport  # type: ignore[attr-defined]  # every Protocol has one

        def take_limited(data: bytes) -> None:
            take(data)
            self._received += len(data)
            if self._received > LONGEST_ANSWER and not self.is_answered and not self.is_exceeded:
                self.is_exceeded = True
                transport.abortConnection()

        protocol.dataReceived = take_limited  # type: ignore[method-assign]  # the client has no hook for it
        return protocol


def _innermost(error: Exception) -> str:
    """Return the innermost reason: Twisted's HTTP client wraps it in errors of its own."""
    if isinstance(error, (ResponseFailed, RequestGenerationFailed)) and error.args and error.args[0]:
        return _innermost(error.args[0][0].value)
    return str(error).strip(". ") or type(error).__name__
