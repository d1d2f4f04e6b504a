"""One relayed TCP connection: between a client and the version that serves it.

Both directions are copied independently. The end of one is passed on when everything before it has been sent, so a client
that has finished sending still gets the whole answer. A reset is passed on as a reset. While one side does not take what
was sent to it, nothing more is read from the other.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Callable

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hanoverd.network.relay_target import Target

#: How much is copied at a time, in bytes.  Other work of the event loop waits meanwhile: about 30 microseconds.
COPIED_AT_A_TIME = 64 * 1024

#: How long a version may take to accept a connection, in seconds.
CONNECT_TIMEOUT = 10.0

#: How long a client may keep sending to a version that has closed the connection, in seconds.  If the connection was reset
#: at once, the client could lose the end of the answer (RFC 9112, section 9.6).
LINGER = 2.0

#: Probes of silent connections: the seconds before the first and between two, and their number.  A client that is gone
#: without a word would count as a connection for ever.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 8))

#: The states in which the other side has finished sending (include/net/tcp_states.h): TIME_WAIT, CLOSE, CLOSE_WAIT,
#: LAST_ACK, CLOSING.
_HAS_FINISHED = frozenset({6, 7, 8, 9, 11})

#: Every connection reads into the same memory, and sends from it before another one reads.
_BUFFER = memoryview(bytearray(COPIED_AT_A_TIME))


class RelayReactor(IReactorFDSet, IReactorTime):
    """What a reactor must be able to do to relay."""


class Connection:
    """A client's connection, and the one to the version that serves it.

    ``server`` is a new socket of the target's family.  ``retry`` is asked for another target when the target cannot be
    reached, and returns None if there is none.  ``on_end`` is called once, when both sockets are closed.
    """

    def __init__(
        self,
        reactor: RelayReactor,
        client: socket.socket,
        server: socket.socket,
        target: Target,
        *,
        retry: Callable[[Target], Target | None],
        on_end: Callable[[Connection], object],
    ) -> None:
        self.target = target
        self._reactor = reactor
        self._retry = retry
        self._on_end = on_end
        self._client = _End(reactor, self, client)
        self._server = _End(reactor, self, server)
        self._client.other, self._server.other = self._server, self._client
        #: While connecting, the time limit; later that of ``LINGER``.
        self._timeout: IDelayedCall | None = None
        self._is_over = False

    def connect(self) -> None:
        """Connect to the target, and relay from then on."""
        has_failed = not self._server.connect(self.target)
        self._timeout = self._reactor.callLater(0 if has_failed else CONNECT_TIMEOUT, self._could_not_connect)

    def close(self) -> None:
        """The version has stopped: deliver the rest of an answer that is complete, reset the connection otherwise.

        If it was not connected yet, the version that is live by now is tried.
        """
        if self._is_over:
            return
        if self._server.is_connecting:
            self.could_not_connect()
        elif self._server.has_received_all():
            self._server.give_up_sending()
            self.check()
        else:
            self.reset()

    def reset(self) -> None:
        """Close both sockets at once, so that both sides see that the connection was not finished.  Idempotent."""
        self._end(is_reset=True)

    def connected(self) -> None:
        """The target has accepted the connection."""
        self._cancel_timeout()
        self._client.start()
        self._server.start()

    def could_not_connect(self) -> None:
        """The target refused the connection, or did not answer: try another one, or reset the client's connection."""
        self._cancel_timeout()
        self._could_not_connect()

    def check(self) -> None:
        """End the connection if both directions have finished, or if one side is gone and has been heard to the end."""
        if self._is_over:
            return
        if self._client.is_delivered and self._server.is_delivered:
            self._end(is_reset=False)
        elif self._client.is_gone:
            self.reset()
        elif self._server.is_gone and self._timeout is None:
            # Without a reset, what the client has not received by then is still delivered.
            self._timeout = self._reactor.callLater(LINGER, self._end, is_reset=self._server.was_reset)

    def _could_not_connect(self) -> None:
        self._timeout = None
        target = self._retry(self.target)
        if target is None:
            self.reset()
            return
        self._server.close(is_reset=True)
        try:
            server = target.new_socket()
        except OSError:
            self.reset()
            return
        self.target = target
        self._server = _End(self._reactor, self, server)
        self._client.other, self._server.other = self._server, self._client
        self.connect()

    def _cancel_timeout(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()
        self._timeout = None

    def _end(self, *, is_reset: bool) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._cancel_timeout()
        self._client.close(is_reset=is_reset)
        self._server.close(is_reset=is_reset)
        self._on_end(self)


@implementer(IReadWriteDescriptor)
class _End:
    """One of the two sockets of a connection: what it receives is sent to ``other``."""

    other: _End

    def __init__(self, reactor: RelayReactor, connection: Connection, own: socket.socket) -> None:
        self._reactor = reactor
        self._connection = connection
        self._socket = own
        self._is_closed = False
        self.is_connecting = False
        #: What the other side has sent and the kernel does not take yet.
        self.unsent = memoryview(b"")
        #: Nothing more is received from here.
        self.has_ended = False
        #: Nothing more is sent to here: everything was, or it is not taken any more.
        self.is_shut_down = False
        self.is_broken = False
        #: It was reset before it had finished sending.
        self.was_reset = False

    @property
    def is_delivered(self) -> bool:
        """Whether everything that this side sends has been received and passed on."""
        return self.has_ended and self.other.is_shut_down

    @property
    def is_gone(self) -> bool:
        """Whether this side takes nothing any more, and everything that it had sent has been passed on."""
        return self.is_broken and self.has_ended and (self.was_reset or self.other.is_shut_down)

    def has_received_all(self) -> bool:
        """Return whether the kernel has received everything that the peer sends."""
        state: int = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state in _HAS_FINISHED

    def connect(self, target: Target) -> bool:
        """Start to connect; ``connected`` or ``could_not_connect`` of the connection is called later.

        Return False if it has failed at once.
        """
        self.is_connecting = True
        if self._socket.connect_ex((target.address, target.port)) not in (0, errno.EINPROGRESS):
            return False
        self._reactor.addWriter(self)
        return True

    def start(self) -> None:
        """Begin to receive."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self._reactor.addReader(self)

    def send(self, data: memoryview) -> None:
        """Send; keep what the kernel does not take, and let the other side wait until it does."""
        if self.is_shut_down:
            return
        sent = self._send(data)
        if sent is not None and sent < len(data):
            self.unsent = memoryview(bytes(data[sent:]))
            self._reactor.removeReader(self.other)
            self._reactor.addWriter(self)

    def finish(self) -> None:
        """Nothing more is sent here: pass that on when everything before has been sent."""
        if not self.unsent and not self.is_shut_down:
            self.is_shut_down = True
            with contextlib.suppress(OSError):  # A reset connection: what it received before is still read.
                self._socket.shutdown(socket.SHUT_WR)

    def give_up_sending(self) -> None:
        """Discard what is sent here from now on: this side does not take it any more."""
        self.is_broken = self.is_shut_down = True
        self.unsent = memoryview(b"")
        self._reactor.removeWriter(self)
        self.other.resume()

    def resume(self) -> None:
        """Receive again."""
        if not self.has_ended and not self._is_closed:
            self._reactor.addReader(self)

    def close(self, *, is_reset: bool) -> None:
        """Close the socket; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        if is_reset:
            # The kernel then sends a reset (socket(7), SO_LINGER).
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted names in its log messages."""
        return "relay"

    def doRead(self) -> None:
        """Receive, at most ``COPIED_AT_A_TIME`` bytes, and send that to the other side."""
        # The event may have been there before the other side stopped to take more.
        if self._is_closed or self.has_ended or self.other.unsent:
            return
        try:
            size = self._socket.recv_into(_BUFFER)
        except BlockingIOError:
            return
        except OSError:
            self._connection.reset()
            return
        if size:
            self.other.send(_BUFFER[:size])
            return
        self.has_ended = True
        self._reactor.removeReader(self)
        # An answer that was cut must not look like one that is complete.
        if not self.was_reset:
            self.other.finish()
        self._connection.check()

    def doWrite(self) -> None:
        """Send what was kept; while connecting, see whether the connection was accepted."""
        if self._is_closed or not (self.is_connecting or self.unsent):
            return
        if self.is_connecting:
            self._look_at_connecting()
            return
        sent = self._send(self.unsent)
        if sent is None:
            return
        self.unsent = self.unsent[sent:]
        if not self.unsent:
            self._reactor.removeWriter(self)
            if self.other.has_ended:
                self.finish()
                self._connection.check()
            else:
                self.other.resume()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has removed this descriptor: for an error of the socket, or for an exception in ``doRead``."""
        if self._is_closed:
            return
        if reason.check(ConnectionDone, ConnectionLost) is None:
            self._connection.reset()
            return
        # The socket itself knows: the event may even be an older one, of a descriptor with the same number.
        if self.is_connecting or self.unsent:
            self._reactor.addWriter(self)
            self.doWrite()
        if not (self.is_connecting or self._is_closed or self.has_ended or self.other.unsent):
            self._reactor.addReader(self)
            self.doRead()

    def _look_at_connecting(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not error:
            try:
                self._socket.getpeername()
            except OSError:
                return  # It is not connected yet.
        self._reactor.removeWriter(self)
        self.is_connecting = False
        if error:
            self._connection.could_not_connect()
        else:
            self._connection.connected()

    def _send(self, data: memoryview) -> int | None:
        """Return how many bytes the kernel took; None if this side takes nothing any more."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            # What it sent before is still received: a server may close a connection when it has answered.  The kernel then
            # reports no second error: EPIPE is the one for a side that had finished sending (tcp_reset in the kernel).
            self.was_reset = error.errno != errno.EPIPE
            self.give_up_sending()
            self._connection.check()
            return None
