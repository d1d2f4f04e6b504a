"""Which TCP connections are relayed, and to which version; with real sockets."""

from __future__ import annotations

import os
import resource
import socket
import time
from functools import partial
from threading import Event

from twisted.logger import capturedLogs

from hanoverd.network import relay_tcp
from hanoverd.network.relay_tcp import TCPRelay
from hanoverd.spec.ports import HostPort
from tests.unit.deploy.dummies import ids
from tests.unit.network.relay_case import (
    FAMILY,
    LARGE,
    LOOPBACK,
    REACTOR,
    TCPRelayCase,
    answer,
    ask,
    echo,
    receive_all,
)


class ListeningTests(TCPRelayCase):
    def assert_held(self, host: HostPort) -> None:
        """Clients are refused, and other programs cannot bind the port."""
        for _ in range(3):
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, host.number))
        self.assert_bound(host)

    def assert_bound(self, host: HostPort) -> None:
        for reuse in (False, True):
            with socket.socket(FAMILY) as other, self.assertRaisesRegex(OSError, "in use"):
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
                other.bind((LOOPBACK, host.number))
                other.listen()

    async def test_without_a_target_clients_are_refused_and_the_port_stays_held(self) -> None:
        target = self.server(answer(b"hello")).target
        # The kernel gives a port that it chose itself to others when the socket stops listening.
        for number in (None, 0):
            relay, host = self.relay(number)
            self.assert_held(host)
            for _ in range(3):
                relay.set_live({host: target})
                self.assertEqual(await self.run_in_thread(ask, host.number), b"hello")
                # This one stays open.
                await self.until(partial(self.counted, relay, 0))
                client = self.connected(host)
                await self.until(partial(self.counted, relay, 1))
                relay.set_live({})
                self.assert_held(host)
                client.sendall(b"?")
                self.assertEqual(await self.run_in_thread(receive_all, client), b"hello")
                client.close()

    def counted(self, relay: TCPRelay, number: int) -> bool:
        return relay.connections("web-0") == number

    async def test_a_port_is_held_while_it_has_a_target(self) -> None:
        _, host = self.serving(self.server(answer(b"hello")))
        self.assertEqual(await self.run_in_thread(ask, host.number), b"hello")
        self.assert_bound(host)

    async def test_connections_that_wait_to_be_accepted_are_reset_when_there_is_no_target(self) -> None:
        relay, host = self.serving(self.server(answer(b"hello")))
        client = self.connected(host)
        relay.set_live({})
        with self.assertRaises(ConnectionResetError):
            client.recv(1)
        self.assert_held(host)

    async def test_connections_that_wait_to_be_accepted_go_to_the_new_version(self) -> None:
        relay, host = self.serving(self.server(answer(b"old"), "web-0"))
        client = self.connected(host)
        relay.set_live({host: self.server(answer(b"new"), "web-1").target})
        client.sendall(b"?")
        self.assertEqual(await self.run_in_thread(receive_all, client), b"new")

    async def test_each_port_has_its_own_target(self) -> None:
        sockets = {host: own for own, host in (self.held(), self.held())}
        relay = TCPRelay(REACTOR, sockets, 100)
        self.addCleanup(relay.stop)
        first, second = sockets
        relay.set_live({first: self.server(answer(b"1")).target, second: self.server(answer(b"2")).target})
        self.assertEqual([await self.run_in_thread(ask, host.number) for host in sockets], [b"1", b"2"])
        relay.set_live({second: self.server(answer(b"3")).target})
        self.assertEqual(await self.run_in_thread(ask, second.number), b"3")
        self.assert_held(first)

    async def test_a_port_that_cannot_listen_is_tried_again_and_reported_once(self) -> None:
        # The kernel lets a program with SO_REUSEADDR bind a port that is held without it only if both have it.
        relay, host = self.relay()
        self.own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        target = self.server(answer(b"hello")).target
        self.patch(relay_tcp, "_ACCEPT_AGAIN_AFTER", 0.01)
        with socket.socket(FAMILY) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((LOOPBACK, host.number))
            other.listen()
            with capturedLogs() as logged:
                relay.set_live({host: target})
                for _ in range(5):
                    await self.run_in_thread(lambda: None)
            self.assertEqual(ids(logged), ["relay_failed"])
            other.close()
            await self.until(lambda: self.own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        self.assertEqual(await self.run_in_thread(ask, host.number), b"hello")


class VersionTests(TCPRelayCase):
    async def test_open_connections_stay_with_their_version(self) -> None:
        relay, host = self.serving(self.server(echo, "web-0"))
        client = self.connected(host)
        client.sendall(b"one")
        self.assertEqual(await self.run_in_thread(client.recv, 10), b"one")
        relay.set_live({host: self.server(answer(b"new"), "web-1").target})
        self.assertEqual(await self.run_in_thread(ask, host.number), b"new")
        client.sendall(b"two")
        self.assertEqual(await self.run_in_thread(client.recv, 10), b"two")
        self.assertEqual(relay.connections("web-0"), 1)
        await self.until(lambda: relay.connections("web-1") == 0)
        client.close()
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_the_connections_of_a_version_that_has_stopped_are_reset(self) -> None:
        relay, host = self.serving(self.server(echo, "web-0"))
        old = self.connected(host)
        await self.until(lambda: relay.connections("web-0") == 1)
        relay.set_live({host: self.server(echo, "web-1").target})
        new = self.connected(host)
        await self.until(lambda: relay.connections("web-1") == 1)
        relay.close("web-0")
        with self.assertRaises(ConnectionResetError):
            old.recv(1)
        new.sendall(b"new")
        self.assertEqual(await self.run_in_thread(new.recv, 10), b"new")
        self.assertEqual((relay.connections("web-0"), relay.connections("web-1")), (0, 1))

    async def test_the_finished_answer_of_a_version_that_has_stopped_is_still_delivered(self) -> None:
        # The kernel of the relay has received everything, and the connection is half-closed (include/net/tcp_states.h).
        fin_wait2 = 5
        finished = Event()

        def serve(connection: socket.socket) -> None:
            connection.recv(1)
            connection.sendall(LARGE[: 6 << 20])
            connection.shutdown(socket.SHUT_WR)
            while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != fin_wait2:
                time.sleep(0.001)
            finished.set()
            receive_all(connection)

        relay, host = self.serving(self.server(serve))
        client = self.connected(host)
        client.sendall(b"?")
        received = await self.run_in_thread(client.recv, 1000)
        # Then the client does not read on: the end of the answer waits in the relay and in the kernel.
        while not finished.is_set():
            received += await self.run_in_thread(client.recv, 1 << 20)
        relay.close("web-0")
        received += await self.run_in_thread(receive_all, client)
        self.assertTrue(received == LARGE[: 6 << 20])
        client.close()
        await self.until(lambda: relay.connections("web-0") == 0)

    async def test_stop_resets_all_and_refuses_clients(self) -> None:
        relay, host = self.serving(self.server(echo))
        client = self.connected(host)
        await self.until(lambda: relay.connections("web-0") == 1)
        relay.stop()
        relay.stop()
        with self.assertRaises(ConnectionResetError):
            client.recv(1)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, host.number))
        self.assertEqual(relay.connections("web-0"), 0)


class LimitTests(TCPRelayCase):
    async def test_beyond_the_limit_clients_wait_until_a_connection_ends(self) -> None:
        relay, host = self.relay(limit=2)
        relay.set_live({host: self.server(echo).target})
        with capturedLogs() as logged:
            first, second, third, fourth = (self.connected(host) for _ in range(4))
            for client in (first, second, third, fourth):
                client.sendall(b"hello")
            self.assertEqual(await self.run_in_thread(first.recv, 10), b"hello")
            self.assertEqual(await self.run_in_thread(second.recv, 10), b"hello")
            self.assertEqual(relay.connections("web-0"), 2)
            first.close()
            self.assertEqual(await self.run_in_thread(third.recv, 10), b"hello")
            self.assertEqual(relay.connections("web-0"), 2)
            self.assertNotIn(self.own.fileno(), [reader.fileno() for reader in REACTOR.getReaders()])
            second.close()
            self.assertEqual(await self.run_in_thread(fourth.recv, 10), b"hello")
        self.assertEqual(ids(logged), ["relay_full"])

    async def test_without_descriptors_clients_wait_and_the_reactor_too(self) -> None:
        _, host = self.serving(self.server(answer(b"hello")))
        self.patch(relay_tcp, "_ACCEPT_AGAIN_AFTER", 0.02)
        await self.run_in_thread(lambda: None)  # The reactor runs from here on, and has the descriptors that it needs.
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with capturedLogs() as logged:
            # No descriptor below the limit is free.
            client = self.connected(host)
            client.sendall(b"?")
            taken = os.dup(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 1, limits[1]))
            try:
                await self.until(lambda: ids(logged))
                self.assertNotIn(self.own.fileno(), [reader.fileno() for reader in REACTOR.getReaders()])
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                os.close(taken)
            self.assertEqual(await self.run_in_thread(receive_all, client), b"hello")
        self.assertEqual(ids(logged), ["relay_failed"])
