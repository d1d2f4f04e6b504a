"""Relays TCP connections from bound sockets to the live version."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hanoverd.network.relay_connection import Connection, RelayReactor
from hanoverd.network.relay_target import Target
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.ports import HostPort

log = Logger()

#: How many connections a port accepts before other work of the event loop goes on.
_ACCEPTED_AT_A_TIME = 64

#: How many connections the kernel keeps until they are accepted; it lowers the number to net.core.somaxconn.
_BACKLOG = 4096

#: After a failure to accept, in seconds.
_ACCEPT_AGAIN_AFTER = 0.5


class TCPRelay:
    """Accepts connections on ``sockets``, and relays at most ``limit`` of them at a time.

    The sockets are bound, do not listen, and stay the caller's.
    """

    def __init__(self, reactor: RelayReactor, sockets: Mapping[HostPort, socket.socket], limit: int) -> None:
        self._reactor = reactor
        self._limit = limit
        self._ports = {
            host: _Port(reactor, host, own, self._accept_allowed, self._relay) for host, own in sockets.items()
        }
        self._connections: set[Connection] = set()
        self._is_full = False
        self._report_limit = ReportOnce(self._warn_of_limit)

    def set_live(self, targets: Mapping[HostPort, Target]) -> None:
        """Relay new connections to ``targets`` from now on; ports without a target refuse their clients.

        Connections that are open stay as they are.
        """
        for host, port in self._ports.items():
            port.set_target(targets.get(host))

    def connections(self, version: str) -> int:
        """Return how many connections to a version are open."""
        return sum(connection.target.version == version for connection in self._connections)

    def close(self, version: str) -> None:
        """Close the connections to a version that has stopped. Answers that it had finished are still delivered."""
        for connection in [one for one in self._connections if one.target.version == version]:
            connection.close()

    def stop(self) -> None:
        """Refuse clients, and reset all connections; idempotent."""
        self.set_live({})
        for connection in list(self._connections):
            connection.reset()

    def _accept_allowed(self) -> bool:
        if len(self._connections) < self._limit:
            return True
        self._is_full = True
        self._report_limit(f"{self._limit} connections are open")
        return False

    def _relay(self, host: HostPort, client: socket.socket, server: socket.socket, target: Target) -> None:
        def retry(failed: Target) -> Target | None:
            """Return the target that is live by now, unless it is the one that failed."""
            live = self._ports[host].target
            return None if live == failed else live

        connection = Connection(self._reactor, client, server, target, retry=retry, on_end=self._ended)
        self._connections.add(connection)
        connection.connect()

    def _ended(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if len(self._connections) < self._limit // 2:
            self._report_limit.reset()
        if self._is_full:
            self._is_full = False
            for port in self._ports.values():
                port.resume()

    def _warn_of_limit(self, reason: str) -> None:
        log.warn(
            "relay: {reason}, which is the limit for relayed clients: others wait until one ends "
            "(raise LimitNOFILE of the service, or `ulimit -n`, for more)",
            event="relay_full",
            reason=reason,
            count=self._limit,
        )


@implementer(IReadDescriptor)
class _Port:
    """A bound socket: it listens while it has a target."""

    def __init__(
        self,
        reactor: RelayReactor,
        host: HostPort,
        own: socket.socket,
        is_allowed: Callable[[], bool],
        accepted: Callable[[HostPort, socket.socket, socket.socket, Target], object],
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._socket = own
        self._is_allowed = is_allowed
        self._accepted = accepted
        self.target: Target | None = None
        self._again: IDelayedCall | None = None
        self._report = ReportOnce(self._warn)

    def set_target(self, target: Target | None) -> None:
        """Listen if there is a target, and refuse clients otherwise."""
        had_one, self.target = self.target is not None, target
        if target is not None and not had_one:
            self._listen()
        elif target is None and had_one:
            self._refuse()

    def resume(self) -> None:
        """Accept connections, where a target is there and no failure is waited out."""
        if self.target is not None and self._again is None:
            self._reactor.addReader(self)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted names in its log messages."""
        return f"relay of {self._host}"

    def doRead(self) -> None:
        """Accept the connections that wait."""
        for _ in range(_ACCEPTED_AT_A_TIME):
            if self.target is None:
                return
            if not self._is_allowed():
                self._reactor.removeReader(self)
                return
            try:
                if not self._accept(self.target):
                    return
            except OSError as error:
                # Without descriptors, the kernel would report the same connection again at once.
                self._report(error.strerror or str(error))
                self._wait()
                return
            self._report.reset()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has removed this descriptor, for an exception in ``doRead``, or because it does not listen."""
        self._report(reason.getErrorMessage())
        self._wait()

    def _accept(self, target: Target) -> bool:
        # First the socket that is needed too: a client that was accepted without it would have to be dropped.
        server = target.new_socket()
        try:
            client, _ = self._socket.accept()
        except BlockingIOError:
            server.close()
            return False
        except ConnectionAbortedError:
            server.close()
            return True
        except OSError:
            server.close()
            raise
        client.setblocking(False)  # noqa: FBT003  # as Python has it
        self._accepted(self._host, client, server, target)
        return True

    def _listen(self) -> None:
        try:
            # Or connections of the last time that it listened, also closed ones, would be in conflict with it.  While it
            # listens, the option lets no other program bind the port.
            self._reuse_address(reuse=True)
            self._socket.listen(_BACKLOG)
        except OSError as error:
            self._reuse_address(reuse=False)
            self._report(error.strerror or str(error))
            self._wait()
            return
        self._reactor.addReader(self)

    def _refuse(self) -> None:
        self._reactor.removeReader(self)
        if self._again is not None:
            self._again.cancel()
            self._again = None
        # Before it stops to listen: other programs with the option could bind the port then.
        self._reuse_address(reuse=False)
        # The socket stops listening, and stays bound.  Connections that were not accepted yet are reset.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        self._hold()

    def _hold(self) -> None:
        """Bind the socket again if the kernel had chosen its port: that became free when the socket stopped to listen.

        See inet_bind in the kernel (SOCK_BINDPORT_LOCK).
        """
        name = self._socket.getsockname()
        for reuse in (False, True):
            self._reuse_address(reuse=reuse)
            try:
                self._socket.bind(name)
                break
            except OSError as error:
                if error.errno == errno.EINVAL:  # It is still bound.
                    break
        self._reuse_address(reuse=False)

    def _reuse_address(self, *, reuse: bool) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)

    def _wait(self) -> None:
        self._reactor.removeReader(self)
        if self.target is not None and self._again is None:
            self._again = self._reactor.callLater(_ACCEPT_AGAIN_AFTER, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        # It may not have been possible to listen; where it was, this changes nothing.
        self._listen()

    def _warn(self, reason: str) -> None:
        log.warn(
            "relay: {address} accepts no relayed connections: {reason}; hanoverd tries again",
            event="relay_failed",
            address=str(self._host),
            reason=reason,
        )
