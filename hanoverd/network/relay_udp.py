"""Relays UDP flows from bound sockets to the live version.

A flow is what one client sends from one port to one address of this host. It has a socket of its own, connected to the
version, so that the answers are known to be for it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hanoverd.network import datagrams
from hanoverd.network.datagrams import Peer
from hanoverd.network.relay_connection import RelayReactor
from hanoverd.network.relay_flows import FlowTable, FlowTimeouts
from hanoverd.network.relay_target import Target
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.ports import HostPort

log = Logger()

#: How many datagrams of one socket are relayed before other work of the event loop goes on.
_AT_A_TIME = 32

#: Every socket receives into the same memory, and it is sent from there before another one receives.
_BUFFER = memoryview(bytearray(datagrams.LONGEST))

#: Silent flows are looked for so many times within the shortest of their times.
_LOOKS = 4


class UDPRelay:
    """Receives datagrams on ``sockets``, and relays at most ``limit`` flows at a time.

    The sockets are bound, do not block, and receive nothing (``datagrams.stop_receiving``). They stay the caller's.
    """

    def __init__(
        self, reactor: RelayReactor, sockets: Mapping[HostPort, socket.socket], limit: int, timeouts: FlowTimeouts
    ) -> None:
        self._reactor = reactor
        self._timeouts = timeouts
        self._flows: FlowTable[tuple[HostPort, Peer], _Flow] = FlowTable(limit, timeouts)
        self._ports = {host: _Port(reactor, host, own, self._receive) for host, own in sockets.items()}
        self._look: IDelayedCall | None = None
        self._report = ReportOnce(lambda reason: _warn("a port", reason))

    def set_live(self, targets: Mapping[HostPort, Target]) -> None:
        """Relay new flows to ``targets`` from now on; ports without a target refuse their clients.

        Flows that are there stay with their version. A port without a target receives until its last flow has ended.
        """
        for host, port in self._ports.items():
            port.target = targets.get(host)
        self._update_ports()

    def flows(self, version: str) -> int:
        """Return how many flows a version has answered."""
        return sum(flow.target.version == version for flow in self._flows.answered)

    def close(self, version: str) -> None:
        """End the flows of a version: the next datagram of a client starts a new one."""
        self._end([flow for flow in self._flows if flow.target.version == version])

    def stop(self) -> None:
        """Refuse clients, and end all flows; idempotent."""
        self.set_live({})
        self._end(list(self._flows))

    def _receive(self, port: _Port, peer: Peer, data: memoryview) -> None:
        """Relay a datagram of a client."""
        key = (port.host, peer)
        flow = self._flows.get(key, self._reactor.seconds())
        if flow is None:
            flow = self._begin(port, key)
        if flow is not None and not flow.send(data):
            # The version refused an earlier datagram: it may be another one that is live by now.
            self._end([flow])
            if port.target is not None and port.target != flow.target:
                self._receive(port, peer, data)

    def _begin(self, port: _Port, key: tuple[HostPort, Peer]) -> _Flow | None:
        if port.target is None:
            return None
        try:
            flow = _Flow(self._reactor, port, key[1], port.target, self._answered, self._ended)
        except OSError as error:
            self._report(error.strerror or str(error))
            return None
        self._report.reset()
        leaving = self._flows.add(key, flow, self._reactor.seconds())
        if leaving is not None:
            self._end([leaving])
        if self._look is None:
            self._look_later()
        return flow

    def _answered(self, flow: _Flow) -> None:
        self._flows.note_answer(flow.key, self._reactor.seconds())

    def _ended(self, flow: _Flow) -> None:
        self._end([flow])

    def _end(self, flows: list[_Flow]) -> None:
        for flow in flows:
            self._flows.remove(flow.key)
            flow.close()
        if flows:
            self._update_ports()

    def _update_ports(self) -> None:
        without_target = [port for port in self._ports.values() if port.target is None]
        used = {flow.port for flow in self._flows} if without_target else set()
        for port in self._ports.values():
            port.set_receiving(port.target is not None or port in used)
        if not len(self._flows) and self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_later(self) -> None:
        seconds = min(self._timeouts.unanswered, self._timeouts.answered) / _LOOKS
        self._look = self._reactor.callLater(seconds, self._end_silent)

    def _end_silent(self) -> None:
        self._look_later()
        self._end(self._flows.pop_expired(self._reactor.seconds()))


@implementer(IReadDescriptor)
class _Port:
    """A bound socket; ``receive`` is called with each datagram."""

    def __init__(
        self,
        reactor: RelayReactor,
        host: HostPort,
        own: socket.socket,
        receive: Callable[[_Port, Peer, memoryview], object],
    ) -> None:
        self.host = host
        self.target: Target | None = None
        self._reactor = reactor
        self._socket = own
        self._receive = receive
        self._is_receiving = False
        self._report = ReportOnce(lambda reason: _warn(str(host), reason))

    def set_receiving(self, is_receiving: bool) -> None:  # noqa: FBT001  # it is what the name says
        """Receive datagrams, or have the kernel refuse them."""
        if is_receiving == self._is_receiving:
            return
        self._is_receiving = is_receiving
        if is_receiving:
            try:
                datagrams.start_receiving(self._socket)
            except OSError as error:
                self._report(f"{error.strerror}; hanoverd needs the capability CAP_NET_RAW")
            self._reactor.addReader(self)
        else:
            self._reactor.removeReader(self)
            datagrams.stop_receiving(self._socket)

    def send(self, data: memoryview, peer: Peer) -> None:
        """Send an answer.  If it cannot be sent it is lost, as a datagram may be."""
        with contextlib.suppress(OSError):
            datagrams.send(self._socket, data, peer)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted names in its log messages."""
        return f"relay of {self.host}"

    def doRead(self) -> None:
        """Receive the datagrams that wait."""
        for _ in range(_AT_A_TIME):
            try:
                size, peer = datagrams.receive(self._socket, _BUFFER)
            except OSError:
                # None waits; or it is an error of an earlier answer, which the kernel reports once.
                return
            if peer is not None:
                self._receive(self, peer, _BUFFER[:size])

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has removed this descriptor, for an exception in ``doRead``: one datagram is lost."""
        self._report(reason.getErrorMessage())
        if self._is_receiving:
            self._reactor.addReader(self)


@implementer(IReadDescriptor)
class _Flow:
    """A flow: its socket is connected to the version.  OSError if no socket can be made."""

    def __init__(
        self,
        reactor: RelayReactor,
        port: _Port,
        peer: Peer,
        target: Target,
        answered: Callable[[_Flow], object],
        ended: Callable[[_Flow], object],
    ) -> None:
        self.port = port
        self.target = target
        self._peer = peer
        self._reactor = reactor
        self._answered = answered
        self._ended = ended
        self._is_closed = False
        self._socket = target.new_socket(socket.SOCK_DGRAM)
        try:
            self._socket.connect((target.address, target.port))
        except OSError:
            self._socket.close()
            raise
        reactor.addReader(self)

    @property
    def key(self) -> tuple[HostPort, Peer]:
        """What the flow is found by."""
        return self.port.host, self._peer

    def send(self, data: memoryview) -> bool:
        """Send a datagram of the client to the version; return False if the version has refused one."""
        try:
            self._socket.send(data)
        except ConnectionRefusedError:
            return False
        except OSError:
            pass  # It is lost, as a datagram may be.
        return True

    def close(self) -> None:
        """Close the socket; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._reactor.removeReader(self)
            self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted names in its log messages."""
        return f"relay of {self.port.host}"

    def doRead(self) -> None:
        """Pass the answers on that wait."""
        is_refused = False
        for _ in range(_AT_A_TIME):
            try:
                size = self._socket.recv_into(_BUFFER)
            except BlockingIOError:
                break
            except OSError:
                # The version refuses datagrams, or cannot be reached (ICMP).  What it had answered before is still there.
                is_refused = True
                continue
            self._answered(self)
            self.port.send(_BUFFER[:size], self._peer)
        if is_refused:
            self._ended(self)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has removed this descriptor: for an error of the socket, or for an exception in ``doRead``."""
        if self._is_closed:
            return
        if reason.check(ConnectionDone, ConnectionLost) is None:
            self._ended(self)
            return
        # The socket itself knows: the event may even be an older one, of a descriptor with the same number.
        self._reactor.addReader(self)
        self.doRead()


def _warn(address: str, reason: str) -> None:
    log.warn(
        "relay: datagrams to {address} that no firewall rule routes are lost: {reason}",
        event="relay_failed",
        address=address,
        reason=reason,
    )
