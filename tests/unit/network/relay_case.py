"""What the tests of the relay share: held sockets, and programs at both ends, in threads of their own."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from threading import Thread
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hanoverd.network.relay_target import Target
from hanoverd.network.relay_tcp import TCPRelay
from hanoverd.runtime.clock import sleep
from hanoverd.spec.ports import HostPort, Protocol

REACTOR: Any = reactor
T = TypeVar("T")

#: In seconds; what takes longer hangs.
PATIENCE = 20


def loopback() -> str:
    """The IPv6 loopback address; the IPv4 one where the kernel has no IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as tried:
        tried.bind(("::1", 0))
        return "::1"
    return "127.0.0.1"


LOOPBACK = loopback()
FAMILY = socket.AF_INET6 if ":" in LOOPBACK else socket.AF_INET


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(FAMILY, kind) as tried:
        tried.bind((LOOPBACK, 0))
        number: int = tried.getsockname()[1]
    return number


def held_socket(number: int | None = None, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A bound socket; ``number`` 0 lets the kernel choose the port."""
    held = socket.socket(FAMILY, kind)
    held.setblocking(False)
    held.bind((LOOPBACK, free_port(kind) if number is None else number))
    return held


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def receive_all(connection: socket.socket) -> bytes:
    """What the other side sends until it has finished."""
    received = bytearray()
    while part := connection.recv(65536):
        received += part
    return bytes(received)


#: More than the kernel keeps for a connection on its way.
LARGE = os.urandom(1 << 20) * 12


def answer(text: bytes) -> Callable[[socket.socket], None]:
    """A version that answers a request of one line."""

    def serve(connection: socket.socket) -> None:
        if connection.recv(100):
            connection.sendall(text)

    return serve


def echo(connection: socket.socket) -> None:
    while part := connection.recv(65536):
        connection.sendall(part)


def ask(number: int) -> bytes:
    with socket.create_connection((LOOPBACK, number), PATIENCE) as client:
        client.sendall(b"?")
        return receive_all(client)


class Server:
    """A version: serves each connection with ``serve``, in a thread of its own."""

    def __init__(self, serve: Callable[[socket.socket], object], name: str = "web-0") -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = Target("127.0.0.1", self._listener.getsockname()[1], name)
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(PATIENCE)
                self._threads.append(Thread(target=self._run, args=[connection], daemon=True))
                self._threads[-1].start()

    def _run(self, connection: socket.socket) -> None:
        # A reset is how the clean-up of a test ends what is open.
        with connection, contextlib.suppress(ConnectionError):
            self._serve(connection)

    def close(self) -> None:
        """Stop listening; what is served is waited for."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a connection has not ended"


class UDPServer:
    """A version: answers each datagram with its own name, the sender's port, and the datagram."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.target = Target("127.0.0.1", self._socket.getsockname()[1], name)
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(65535)
            if data == b"stop":
                return
            if data != b"silence":
                self._socket.sendto(f"{self._name} {client[1]} ".encode() + data[-60000:], client)

    def close(self) -> None:
        if self._thread.is_alive():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopping:
                stopping.sendto(b"stop", self._socket.getsockname())
            self._thread.join(PATIENCE)
        self._socket.close()


class RelayCase(TestCase):
    """Runs the clients in threads, while the reactor relays."""

    def held(self, number: int | None = None) -> tuple[socket.socket, HostPort]:
        own = held_socket(number)
        self.addCleanup(own.close)
        return own, HostPort(ip_address(LOOPBACK), own.getsockname()[1], Protocol.TCP)

    def server(self, serve: Callable[[socket.socket], object], name: str = "web-0") -> Server:
        server = Server(serve, name)
        self.addCleanup(deferToThread, server.close)
        return server

    def udp_server(self, name: str) -> UDPServer:
        server = UDPServer(name)
        self.addCleanup(deferToThread, server.close)
        return server

    def udp_client(self, host: HostPort, address: str = LOOPBACK) -> socket.socket:
        """Connected: it takes answers only from the address and port that it sends to."""
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        client.connect((address, host.number))
        return client

    async def ask_over_udp(self, client: socket.socket, data: bytes = b"?") -> tuple[str, int, bytes]:
        """Return the version that answered, the port that it answered to, and the datagram as it arrived there."""
        await self.run_in_thread(client.send, data)
        name, port, rest = (await self.run_in_thread(client.recv, 65535)).split(b" ", 2)
        return name.decode(), int(port), rest

    def connected(self, host: HostPort) -> socket.socket:
        """A client's connection: the kernel accepts it, also while the reactor does not run."""
        client = socket.create_connection((LOOPBACK, host.number), PATIENCE)
        self.addCleanup(client.close)
        return client

    async def run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        working: Deferred[T] = deferToThread(work, *arguments)
        return await working

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(PATIENCE * 500):
            if condition():
                return
            await sleep(REACTOR, 0.002)
        raise AssertionError("it has not happened")


class TCPRelayCase(RelayCase):
    def relay(self, number: int | None = None, limit: int = 100) -> tuple[TCPRelay, HostPort]:
        self.own, host = self.held(number)
        relay = TCPRelay(REACTOR, {host: self.own}, limit)
        self.addCleanup(relay.stop)
        return relay, host

    def serving(self, server: Server) -> tuple[TCPRelay, HostPort]:
        relay, host = self.relay()
        relay.set_live({host: server.target})
        return relay, host
