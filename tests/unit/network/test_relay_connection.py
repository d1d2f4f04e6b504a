"""What one relayed TCP connection passes on, with real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
from threading import Event

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from hanoverd.network import relay_connection
from hanoverd.network.relay_target import Target
from hanoverd.network.relay_tcp import TCPRelay
from tests.unit.network.relay_case import (
    LARGE,
    LOOPBACK,
    PATIENCE,
    REACTOR,
    TCPRelayCase,
    answer,
    echo,
    receive_all,
    reset,
)


class CopyingTests(TCPRelayCase):
    async def test_both_directions_are_copied_at_the_same_time_and_whole(self) -> None:
        _, host = self.serving(self.server(echo))

        def talk(seed: int) -> tuple[str, str]:
            sent = random.Random(seed).randbytes(1_500_000 + seed)
            received = bytearray()
            with socket.create_connection((LOOPBACK, host.number), PATIENCE) as client:
                for start in range(0, len(sent), 300_001):
                    client.sendall(sent[start : start + 300_001])
                    received += client.recv(200_000)
                client.shutdown(socket.SHUT_WR)
                received += receive_all(client)
            return hashlib.sha256(sent).hexdigest(), hashlib.sha256(received).hexdigest()

        working = [self.run_in_thread(talk, seed) for seed in range(8)]
        for one in working:
            sent, received = await one
            self.assertEqual(sent, received)

    async def test_a_client_that_has_finished_sending_gets_the_whole_answer(self) -> None:
        heard: list[bytes] = []

        def serve(connection: socket.socket) -> None:
            heard.append(receive_all(connection))
            connection.sendall(LARGE)

        relay, host = self.serving(self.server(serve))

        def talk() -> bytes:
            with socket.create_connection((LOOPBACK, host.number), PATIENCE) as client:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                return receive_all(client)

        self.assertTrue(await self.run_in_thread(talk) == LARGE)
        self.assertEqual(heard, [b"question"])
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_a_version_that_has_finished_sending_gets_the_whole_request(self) -> None:
        heard: list[bytes] = []

        def serve(connection: socket.socket) -> None:
            connection.sendall(b"ready")
            connection.shutdown(socket.SHUT_WR)
            heard.append(receive_all(connection))

        relay, host = self.serving(self.server(serve))

        def talk() -> bytes:
            with socket.create_connection((LOOPBACK, host.number), PATIENCE) as client:
                greeting = receive_all(client)
                client.sendall(LARGE)
                return greeting

        self.assertEqual(await self.run_in_thread(talk), b"ready")
        await self.until(lambda: relay.connections("web-0") == 0)
        await self.until(lambda: heard)
        self.assertTrue(heard == [LARGE])

    async def test_a_slow_client_slows_the_version_down(self) -> None:
        sent = 0
        may_go_on = Event()

        def serve(connection: socket.socket) -> None:
            nonlocal sent
            connection.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                while True:
                    sent += connection.send(LARGE[:65536])
            connection.settimeout(PATIENCE)
            may_go_on.set()
            connection.sendall(b"end")

        _, host = self.serving(self.server(serve))
        client = self.connected(host)
        await self.until(may_go_on.is_set)
        # What the kernel takes for both connections, and one part in the relay.
        self.assertLess(sent, 64 << 20)
        received = await self.run_in_thread(receive_all, client)
        self.assertEqual(len(received), sent + 3)
        self.assertTrue(received.endswith(b"end"))

    async def test_a_version_that_answers_early_and_closes_is_heard(self) -> None:
        # As a server that refuses a large upload, and does not read it: its kernel then resets the connection.
        self.patch(relay_connection, "LINGER", 0.05)

        def serve(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"413 too large")

        relay, host = self.serving(self.server(serve))

        def talk() -> bytes:
            with socket.create_connection((LOOPBACK, host.number), PATIENCE) as client:
                with contextlib.suppress(ConnectionError):
                    while True:
                        client.sendall(LARGE)
                return client.recv(100)

        self.assertEqual(await self.run_in_thread(talk), b"413 too large")
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_an_answer_that_was_cut_does_not_look_complete(self) -> None:
        self.patch(relay_connection, "LINGER", 0.05)

        def serve(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"half")
            reset(connection)

        _, host = self.serving(self.server(serve))
        for sent in (b"?", LARGE):
            client = self.connected(host)
            with self.assertRaises(ConnectionError):
                await self.run_in_thread(client.sendall, sent)
                await self.run_in_thread(receive_all, client)

    async def test_a_version_that_finishes_its_answer_and_then_refuses_to_hear_more_is_heard(self) -> None:
        def serve(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"413 too large")
            connection.shutdown(socket.SHUT_WR)

        relay, host = self.serving(self.server(serve))

        def talk() -> bytes:
            with socket.create_connection((LOOPBACK, host.number), PATIENCE) as client:
                client.sendall(LARGE)
                return receive_all(client)

        self.assertEqual(await self.run_in_thread(talk), b"413 too large")
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_a_client_that_keeps_sending_to_a_version_that_is_gone_is_cut(self) -> None:
        self.patch(relay_connection, "LINGER", 0.05)
        relay, host = self.serving(self.server(answer(b"bye")))

        def talk() -> bytes:
            with socket.create_connection((LOOPBACK, host.number), PATIENCE) as client:
                client.sendall(b"?")
                received = receive_all(client)
                with contextlib.suppress(ConnectionError):
                    while True:
                        client.sendall(LARGE)
                return received

        self.assertEqual(await self.run_in_thread(talk), b"bye")
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_an_event_that_is_not_of_this_socket_changes_nothing(self) -> None:
        # epoll may have an older event for a descriptor that was closed, and its number given to a new one.
        _, host = self.serving(self.server(echo))
        client = self.connected(host)
        client.sendall(b"one")
        self.assertEqual(await self.run_in_thread(client.recv, 10), b"one")
        for descriptor in [*REACTOR.getReaders(), *REACTOR.getWriters()]:
            if type(descriptor).__module__ == relay_connection.__name__:
                REACTOR.removeReader(descriptor)
                REACTOR.removeWriter(descriptor)
                descriptor.connectionLost(Failure(ConnectionLost()))
        client.sendall(b"two")
        self.assertEqual(await self.run_in_thread(client.recv, 10), b"two")


class ResetTests(TCPRelayCase):
    async def test_a_reset_of_the_client_resets_the_connection_of_the_version(self) -> None:
        seen: list[str] = []

        def serve(connection: socket.socket) -> None:
            connection.sendall(b"hello")
            try:
                seen.append(repr(receive_all(connection)))
            except ConnectionResetError:
                seen.append("reset")

        relay, host = self.serving(self.server(serve))
        client = self.connected(host)
        self.assertEqual(await self.run_in_thread(client.recv, 5), b"hello")
        reset(client)
        await self.until(lambda: seen)
        self.assertEqual((seen, relay.connections("web-0")), (["reset"], 0))

    async def test_a_client_that_goes_after_it_has_finished_sending_is_noticed(self) -> None:
        seen: list[str] = []

        def serve(connection: socket.socket) -> None:
            receive_all(connection)
            try:
                while True:
                    connection.sendall(LARGE)
            except ConnectionError:
                seen.append("reset")

        relay, host = self.serving(self.server(serve))
        client = self.connected(host)
        client.shutdown(socket.SHUT_WR)
        self.assertTrue(await self.run_in_thread(client.recv, 10))
        reset(client)
        await self.until(lambda: seen)
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_a_reset_of_the_version_resets_the_clients_connection(self) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(b"hello")
            connection.recv(1)
            reset(connection)

        relay, host = self.serving(self.server(serve))
        client = self.connected(host)
        self.assertEqual(await self.run_in_thread(client.recv, 5), b"hello")
        client.sendall(b"!")
        with self.assertRaises(ConnectionResetError):
            await self.run_in_thread(client.recv, 5)
        self.assertEqual(relay.connections("web-0"), 0)


class ConnectingTests(TCPRelayCase):
    def dead(self, name: str = "web-0") -> Target:
        """A version that does not listen."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            return Target("127.0.0.1", server.getsockname()[1], name)

    def assert_reset(self, client: socket.socket) -> None:
        with self.assertRaises(ConnectionResetError):
            client.recv(1)

    async def test_a_client_of_a_version_that_refuses_is_reset(self) -> None:
        relay, host = self.relay()
        # The second fails at once: a link-local address has no meaning without an interface.
        for target in (self.dead(), Target("fe80::1", 80, "web-0")):
            relay.set_live({host: target})
            client = self.connected(host)
            await self.run_in_thread(self.assert_reset, client)
            self.assertEqual(relay.connections("web-0"), 0)

    async def test_a_client_of_a_version_that_does_not_answer_is_reset(self) -> None:
        self.patch(relay_connection, "CONNECT_TIMEOUT", 0.05)
        relay, host = self.relay()
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            number: int = full.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", number))
            relay.set_live({host: Target("127.0.0.1", number, "web-0")})
            await self.run_in_thread(self.assert_reset, self.connected(host))
            self.assertEqual(relay.connections("web-0"), 0)
            for one in waiting:
                one.close()

    async def test_a_version_that_died_is_replaced_by_the_one_that_is_live_by_then(self) -> None:
        relay, host = self.relay()
        relay.set_live({host: self.dead("web-0")})
        client = self.connected(host)
        # The relay has accepted and connects; the kernel has refused already, which the relay sees in its next turn.
        self.accept_now(relay)
        self.assertEqual(relay.connections("web-0"), 1)
        relay.set_live({host: self.server(answer(b"from web-1"), "web-1").target})
        client.sendall(b"?")
        self.assertEqual(await self.run_in_thread(receive_all, client), b"from web-1")

    async def test_a_connection_that_the_stopped_version_has_not_accepted_goes_to_the_live_one(self) -> None:
        relay, host = self.relay()
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            number: int = full.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", number))
            relay.set_live({host: Target("127.0.0.1", number, "web-0")})
            client = self.connected(host)
            await self.until(lambda: relay.connections("web-0") == 1)
            relay.set_live({host: self.server(answer(b"from web-1"), "web-1").target})
            relay.close("web-0")
            client.sendall(b"?")
            self.assertEqual(await self.run_in_thread(receive_all, client), b"from web-1")
            for one in waiting:
                one.close()

    def accept_now(self, relay: TCPRelay) -> None:
        """Have the relay accept what waits, without another turn of the reactor."""
        for port in REACTOR.getReaders():
            if port.fileno() == self.own.fileno():
                port.doRead()
