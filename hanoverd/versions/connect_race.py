"""Opens a TCP connection, with further attempts beside the first while that is not answered."""

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

#: The time until the second attempt starts beside the first, in seconds; the time until each next one is twice as long.
#: The kernel repeats a packet only after a second, and packets are lost while the network of a container comes up.
SECOND_ATTEMPT_AFTER = 0.1


class ConnectReactor(IReactorTCP, IReactorTime):
    """What a reactor must be able to do to connect."""


@implementer(IStreamClientEndpoint)
class RacingEndpoint:
    """The TCP port ``port`` at ``address``; each attempt to connect takes ``timeout`` seconds at most."""

    def __init__(self, reactor: ConnectReactor, address: str, port: int, timeout: float) -> None:
        self._reactor = reactor
        self._endpoint = TCP4ClientEndpoint(reactor, address, port, timeout=timeout)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the protocol of the first attempt that is answered, or fails with its error.

        When the Deferred fires, all other attempts have been cancelled.  Cancel cancels all attempts.
        """
        return _Race(self._reactor, self._endpoint, protocolFactory).outcome


class _Race:
    """The attempts to make one connection."""

    def __init__(self, reactor: IReactorTime, endpoint: TCP4ClientEndpoint, factory: IProtocolFactory) -> None:
        self.outcome: Deferred[IProtocol] = Deferred(lambda _: self._cancel_attempts())
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self._attempts: list[Deferred[None]] = []
        self._next: IDelayedCall | None = None
        self._is_over = False
        self._attempt(SECOND_ATTEMPT_AFTER)

    def _attempt(self, next_after: float) -> None:
        self._next = self._reactor.callLater(next_after, self._attempt, 2 * next_after)
        self._attempts.append(self._endpoint.connect(self._factory).addCallbacks(self._connected, self._failed))

    def _connected(self, protocol: IProtocol) -> None:
        self._cancel_attempts()
        self.outcome.callback(protocol)

    def _failed(self, failure: Failure) -> None:
        # A refusal is an answer too.  The other attempts fail because they are cancelled.
        if not self._is_over:
            self._cancel_attempts()
            self.outcome.errback(failure)

    def _cancel_attempts(self) -> None:
        self._is_over = True
        if self._next is not None and self._next.active():
            self._next.cancel()
        for attempt in self._attempts:
            attempt.cancel()
