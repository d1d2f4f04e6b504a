"""The relay of UDP flows, with real sockets."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from hanoverd.network import relay_udp
from hanoverd.network.datagrams import stop_receiving
from hanoverd.network.relay_flows import FlowTimeouts
from hanoverd.network.relay_target import Target
from hanoverd.network.relay_udp import UDPRelay
from hanoverd.spec.ports import HostPort, Protocol
from tests.unit.deploy.dummies import ids
from tests.unit.network.relay_case import FAMILY, LOOPBACK, PATIENCE, REACTOR, RelayCase, held_socket


class UDPRelayTests(RelayCase):
    def setUp(self) -> None:
        self.old, self.new = (self.udp_server(name) for name in ("web-0", "web-1"))

    def relay(self, limit: int = 100, timeouts: FlowTimeouts | None = None) -> tuple[UDPRelay, HostPort]:
        self.own = held_socket(kind=socket.SOCK_DGRAM)
        self.addCleanup(self.own.close)
        return self.relay_of(self.own, LOOPBACK, limit, timeouts)

    def relay_of(
        self, own: socket.socket, address: str, limit: int = 100, timeouts: FlowTimeouts | None = None
    ) -> tuple[UDPRelay, HostPort]:
        stop_receiving(own)
        host = HostPort(ip_address(address), own.getsockname()[1], Protocol.UDP)
        relay = UDPRelay(REACTOR, {host: own}, limit, timeouts or FlowTimeouts())
        self.addCleanup(relay.stop)
        return relay, host

    def serving(self, timeouts: FlowTimeouts | None = None) -> tuple[UDPRelay, HostPort]:
        relay, host = self.relay(timeouts=timeouts)
        relay.set_live({host: self.old.target})
        return relay, host

    async def version(self, client: socket.socket) -> str:
        return (await self.ask_over_udp(client))[0]

    def assert_refused(self, host: HostPort) -> None:
        """Clients are refused; without the capability for that, they get no answer."""
        is_root = os.geteuid() == 0
        with socket.socket(FAMILY, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE if is_root else 0.1)
            client.connect((LOOPBACK, host.number))
            client.send(b"to nobody")
            with self.assertRaises(ConnectionRefusedError if is_root else TimeoutError):
                client.recv(1)

    async def test_each_client_gets_its_own_answers(self) -> None:
        _, host = self.serving()
        first, second = self.udp_client(host), self.udp_client(host)
        datagrams = [b"", b"a", b"b" * 60000]
        ports = set()
        for client in (first, second, first):
            for data in datagrams:
                name, port, heard = await self.ask_over_udp(client, data)
                self.assertEqual((name, heard), ("web-0", data))
                ports.add((client.fileno(), port))
        # One port for each client.
        self.assertEqual(len(ports), 2)

    async def test_an_answer_comes_from_the_address_that_the_client_had_sent_to(self) -> None:
        for any_address, addresses in (("0.0.0.0", ["127.0.0.1", "127.0.0.5", "127.7.7.7"]), ("::", [LOOPBACK])):
            if ":" in any_address and FAMILY != socket.AF_INET6:
                continue
            own = socket.socket(socket.AF_INET6 if ":" in any_address else socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(own.close)
            own.setblocking(False)
            own.bind((any_address, 0))
            relay, host = self.relay_of(own, any_address)
            relay.set_live({host: self.old.target})
            for address in addresses:
                self.assertEqual(await self.version(self.udp_client(host, address)), "web-0")

    async def test_one_client_that_sends_to_two_addresses_has_two_flows(self) -> None:
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(own.close)
        own.setblocking(False)
        own.bind(("0.0.0.0", 0))
        relay, host = self.relay_of(own, "0.0.0.0")
        relay.set_live({host: self.old.target})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            for address in ("127.0.0.1", "127.0.0.5", "127.0.0.1"):
                client.sendto(b"?", (address, host.number))
                _, sender = await self.run_in_thread(client.recvfrom, 100)
                self.assertEqual(sender, (address, host.number))

    async def test_without_a_target_clients_are_refused_and_the_port_stays_held(self) -> None:
        relay, host = self.relay()
        for _ in range(2):
            self.assert_refused(host)
            with self.assertRaisesRegex(OSError, "in use"):
                held_socket(host.number, socket.SOCK_DGRAM)
            relay.set_live({host: self.old.target})
            client = self.udp_client(host)
            self.assertEqual(await self.version(client), "web-0")
            relay.close("web-0")
            # It is not relayed later, to another version.
            client.send(b"too late")
            relay.set_live({})
            relay.set_live({host: self.new.target})
            name, _, heard = await self.ask_over_udp(client, b"in time")
            self.assertEqual((name, heard), ("web-1", b"in time"))
            relay.close("web-1")
            relay.set_live({})

    async def test_flows_stay_with_their_version_until_it_stops(self) -> None:
        relay, host = self.serving()
        first = self.udp_client(host)
        self.assertEqual(await self.version(first), "web-0")
        relay.set_live({host: self.new.target})
        second = self.udp_client(host)
        self.assertEqual([await self.version(one) for one in (first, second)], ["web-0", "web-1"])
        self.assertEqual([relay.flows(name) for name in ("web-0", "web-1")], [1, 1])
        relay.close("web-0")
        self.assertEqual(await self.version(first), "web-1")
        self.assertEqual([relay.flows(name) for name in ("web-0", "web-1")], [0, 2])

    async def test_flows_without_a_live_version_stay_until_theirs_stops(self) -> None:
        relay, host = self.serving()
        client = self.udp_client(host)
        self.assertEqual(await self.version(client), "web-0")
        relay.set_live({})
        self.assertEqual(await self.version(client), "web-0")
        relay.close("web-0")
        self.assert_refused(host)

    def gone(self) -> Target:
        """A version that has stopped."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0))
            return Target("127.0.0.1", bound.getsockname()[1], "web-9")

    def flows(self) -> list[int]:
        """The file descriptors of the relay's flows."""
        return [
            reader.fileno()
            for reader in REACTOR.getReaders()
            if type(reader).__module__ == relay_udp.__name__ and reader.fileno() != self.own.fileno()
        ]

    def receive_now(self) -> None:
        """Have the relay receive what waits, without another turn of the reactor."""
        for reader in REACTOR.getReaders():
            if reader.fileno() == self.own.fileno():
                reader.doRead()

    async def test_a_flow_that_the_version_refuses_ends(self) -> None:
        relay, host = self.relay()
        relay.set_live({host: self.gone()})
        client = self.udp_client(host)
        client.send(b"lost")
        self.receive_now()
        self.assertEqual(len(self.flows()), 1)
        await self.until(lambda: not self.flows())
        relay.set_live({host: self.new.target})
        self.assertEqual(await self.version(client), "web-1")

    async def test_a_datagram_that_meets_a_refusal_is_sent_to_the_version_that_is_live_by_then(self) -> None:
        relay, host = self.relay()
        relay.set_live({host: self.gone()})
        client = self.udp_client(host)
        client.send(b"lost")
        self.receive_now()
        relay.set_live({host: self.new.target})
        client.send(b"found")
        self.receive_now()
        self.assertTrue((await self.run_in_thread(client.recv, 100)).endswith(b" found"))

    async def test_a_silent_flow_ends(self) -> None:
        relay, host = self.serving(timeouts=FlowTimeouts(unanswered=0.04, answered=0.08))
        answered, unanswered = self.udp_client(host), self.udp_client(host)
        unanswered.send(b"silence")
        self.assertEqual(await self.version(answered), "web-0")
        self.assertEqual(relay.flows("web-0"), 1)
        await self.until(lambda: not self.flows())
        self.assertEqual(relay.flows("web-0"), 0)
        self.assertEqual(await self.version(answered), "web-0")

    async def test_beyond_the_limit_the_flow_that_was_silent_for_longest_leaves(self) -> None:
        relay, host = self.relay(limit=2)
        relay.set_live({host: self.old.target})
        first, second, third = (self.udp_client(host) for _ in range(3))
        ports = [(await self.ask_over_udp(client))[1] for client in (first, second, first, third, first)]
        self.assertEqual(len(self.flows()), 2)
        self.assertEqual(relay.flows("web-0"), 2)
        # The second one left for the third.
        self.assertEqual(ports[0], ports[2])
        self.assertEqual(ports[0], ports[4])

    async def test_without_descriptors_datagrams_are_lost_and_that_is_reported_once(self) -> None:
        _, host = self.serving()
        client = self.udp_client(host)

        def fail(*_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        patched = self.patch(Target, "new_socket", fail)
        with capturedLogs() as logged:
            for _ in range(3):
                client.send(b"lost")
                self.receive_now()
        self.assertEqual(ids(logged), ["relay_failed"])
        patched.restore()
        self.assertEqual(await self.version(client), "web-0")

    async def test_an_event_that_is_not_of_this_socket_changes_nothing(self) -> None:
        # epoll may have an older event for a descriptor that was closed, and its number given to a new one.
        _, host = self.serving()
        client = self.udp_client(host)
        _, port, _ = await self.ask_over_udp(client)
        for reader in REACTOR.getReaders():
            if type(reader).__module__ == relay_udp.__name__:
                REACTOR.removeReader(reader)
                reader.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((await self.ask_over_udp(client))[1], port)

    async def test_what_was_sent_to_all_hosts_is_not_relayed(self) -> None:
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(own.close)
        own.setblocking(False)
        own.bind(("0.0.0.0", 0))
        relay, host = self.relay_of(own, "0.0.0.0")
        relay.set_live({host: self.old.target})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.sendto(b"to all", ("127.255.255.255", host.number))
            client.sendto(b"to one", ("127.0.0.1", host.number))
            self.assertTrue((await self.run_in_thread(client.recv, 100)).endswith(b" to one"))
            client.settimeout(0)
            with self.assertRaises(BlockingIOError):
                client.recv(100)

    async def test_stop_refuses_clients_and_ends_all_flows(self) -> None:
        relay, host = self.serving()
        self.assertEqual(await self.version(self.udp_client(host)), "web-0")
        relay.stop()
        relay.stop()
        self.assertEqual(self.flows(), [])
        self.assert_refused(host)
