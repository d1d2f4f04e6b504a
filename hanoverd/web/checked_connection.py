"""A connection to a control socket for Twisted's HTTP client: checked before it is used, and limited in what it receives."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorSocket, IReactorTime, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hanoverd.runtime.cancellation import settled

#: Fires with a connected socket that does not block.
Connect = Callable[[], Deferred[socket.socket]]


class AdoptingReactor(IReactorSocket, IReactorTime):
    """The parts of a reactor that take over a socket, and tell the time."""


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class CheckedConnection:
    """Connects once, by ``connect``, and drops the connection when it has received more than ``most`` bytes.

    An HTTP client keeps all headers of an answer, and has no limit for them (twisted.web's HTTPClientParser).
    """

    def __init__(self, reactor: AdoptingReactor, connect: Connect, most: int) -> None:
        self._reactor = reactor
        self._connect = connect
        self._protocol: _Counted | None = None
        #: How many more bytes are received; None for any number.
        self.left: int | None = most
        #: Whether the connection was dropped because of that.
        self.is_exceeded = False

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002  # IAgentEndpointFactory names it
        """Return itself."""
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the protocol of the factory. Cancel fires when the socket is closed again."""
        return Deferred.fromCoroutine(self._open(protocolFactory))

    def drop(self) -> None:
        """Close the connection at once, if there is one."""
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.abortConnection()

    async def _open(self, protocol_factory: IProtocolFactory) -> IProtocol:
        # Otherwise Twisted logs two lines for each connection.
        protocol_factory.noisy = False  # type: ignore[attr-defined]  # every Factory has it
        opened: list[socket.socket] = []
        connecting = self._connect().addCallback(opened.append)
        try:
            # A thread cannot be cancelled.
            await settled(connecting, on_cancel=lambda: None)
        except BaseException:
            for one in opened:
                one.close()
            raise
        [connected] = opened
        with closing(connected):
            # It keeps a copy of the descriptor.
            factory: Any = _Factory(protocol_factory, self)
            self._reactor.adoptStreamConnection(connected.fileno(), socket.AF_UNIX, factory)
        assert self._protocol is not None  # noqa: S101  # the factory has made it
        return self._protocol.wrappedProtocol

    def keep(self, protocol: _Counted) -> None:
        """Remember the connection."""
        self._protocol = protocol


class _Counted(ProtocolWrapper):
    """Counts what is received."""

    def dataReceived(self, data: bytes) -> None:
        """Pass the data on, or drop the connection."""
        factory: Any = self.factory
        owner: CheckedConnection = factory.owner
        if owner.left is not None:
            owner.left -= len(data)
            if owner.left < 0:
                owner.is_exceeded = True
                self.abortConnection()
                return
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's


class _Factory(WrappingFactory[_Counted]):
    """Makes the counting protocol."""

    protocol = _Counted
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, owner: CheckedConnection) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]  # as above
        self.owner = owner

    def buildProtocol(self, addr: Any) -> _Counted:
        """Return the protocol of the connection."""
        made = super().buildProtocol(addr)
        self.owner.keep(made)
        return made
