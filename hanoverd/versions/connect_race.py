"""Opens a TCP connection, with another attempt beside the first when the first is not answered."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

#: How long an attempt may go unanswered before another starts beside it, in seconds; each next one waits twice as long.
#: A packet that is lost while a container's network comes up is repeated by the kernel only after a second.
NEXT_ATTEMPT_AFTER = 0.1


class ConnectReactor(IReactorTCP, IReactorTime):
    """What a reactor must be able to do to connect."""


@implementer(IStreamClientEndpoint)
class RacingEndpoint:
    """The TCP port ``port`` at ``address``; an attempt to connect may take ``within`` seconds."""

    def __init__(self, reactor: ConnectReactor, address: str, port: int, within: float) -> None:
        self._reactor = reactor
        self._endpoint = TCP4ClientEndpoint(reactor, address, port, timeout=within)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect as the first attempt that gets an answer does: fires with its protocol, or fails as it fails.

        When the Deferred fires, all other attempts are closed.  Cancel closes them all.
        """
        return _Race(self._reactor, self._endpoint, protocolFactory).outcome


class _Race:
    """The attempts to make one connection."""

    def __init__(self, reactor: IReactorTime, endpoint: TCP4ClientEndpoint, factory: IProtocolFactory) -> None:
        self.outcome: Deferred[IProtocol] = Deferred(lambda _: self._close())
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self._attempts: list[Deferred[None]] = []
        self._next: IDelayedCall | None = None
        self._closed = False
        self._attempt(NEXT_ATTEMPT_AFTER)

    def _attempt(self, wait: float) -> None:
        self._next = self._reactor.callLater(wait, self._attempt, 2 * wait)
        self._attempts.append(self._endpoint.connect(self._factory).addCallbacks(self._connected, self._failed))

    def _connected(self, protocol: IProtocol) -> None:
        self._close()
        self.outcome.callback(protocol)

    def _failed(self, failure: Failure) -> None:
        # A refusal is an answer too.  The other attempts fail because they are closed.
        if not self._closed:
            self._close()
            self.outcome.errback(failure)

    def _close(self) -> None:
        self._closed = True
        if self._next is not None and self._next.active():
            self._next.cancel()
        for attempt in self._attempts:
            attempt.cancel()
