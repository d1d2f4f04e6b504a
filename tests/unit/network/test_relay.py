"""The relay as a whole."""

from __future__ import annotations

import resource
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from hanoverd.network.datagrams import stop_receiving
from hanoverd.network.relay import Relays, most, read_timeouts
from hanoverd.network.relay_flows import FlowTimeouts
from hanoverd.spec.ports import HostPort, Protocol
from tests.unit.network.relay_case import LOOPBACK, PATIENCE, REACTOR, RelayCase, held_socket, receive_all


@pytest.mark.parametrize(("descriptors", "number"), [(1024, 256), (524288, 4096), (resource.RLIM_INFINITY, 4096)])
def test_what_is_relayed_takes_a_part_of_the_descriptors(descriptors: int, number: int) -> None:
    assert most(descriptors, 4) == number


def test_silent_flows_are_kept_for_as_long_as_the_kernel_keeps_them(tmp_path: Path) -> None:
    assert read_timeouts(tmp_path) == FlowTimeouts(unanswered=30, answered=120)
    (tmp_path / "nf_conntrack_udp_timeout").write_text("10\n")
    (tmp_path / "nf_conntrack_udp_timeout_stream").write_text("0\n")
    assert read_timeouts(tmp_path) == FlowTimeouts(unanswered=10, answered=1)


class RelaysTests(RelayCase):
    async def test_clients_reach_the_live_version_and_are_refused_without_one(self) -> None:
        own, host = self.held()
        server = self.server(lambda connection: connection.sendall(b"hello"))
        relays = Relays(REACTOR, {host: own})
        relays.set_live({host: server.target})
        client = self.connected(host)
        self.assertEqual(await self.run_in_thread(receive_all, client), b"hello")
        relays.stop()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, host.number), PATIENCE)

    async def test_both_protocols_of_a_port_are_relayed(self) -> None:
        own, host = self.held()
        udp = held_socket(host.number, socket.SOCK_DGRAM)
        self.addCleanup(udp.close)
        stop_receiving(udp)
        udp_host = HostPort(ip_address(LOOPBACK), host.number, Protocol.UDP)
        old, new = self.udp_server("web-0"), self.udp_server("web-1")
        tcp_server = self.server(lambda connection: connection.sendall(b"hello"), "web-1")
        relays = Relays(REACTOR, {host: own, udp_host: udp})
        self.addCleanup(relays.stop)
        relays.set_live({udp_host: old.target})
        client = self.udp_client(host)
        self.assertEqual((await self.ask_over_udp(client))[0], "web-0")
        relays.set_live({host: tcp_server.target, udp_host: new.target})
        self.assertEqual((await self.ask_over_udp(client))[0], "web-0")
        relays.close_flows("web-0")
        self.assertEqual((await self.ask_over_udp(client))[0], "web-1")
        self.assertEqual(await self.run_in_thread(receive_all, self.connected(host)), b"hello")
        relays.set_live({udp_host: old.target})
        relays.close("web-1")
        self.assertEqual((await self.ask_over_udp(client))[0], "web-0")
