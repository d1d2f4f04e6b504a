"""The relay as a whole."""

from __future__ import annotations

import resource
import socket

import pytest

from hanoverd.network.relay import Relays, most_connections
from tests.unit.network.relay_case import LOOPBACK, PATIENCE, REACTOR, RelayCase, receive_all


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(1024, 256), (524288, 16384), (resource.RLIM_INFINITY, 16384)]
)
def test_relayed_connections_take_half_of_the_descriptors_at_most(descriptors: int, connections: int) -> None:
    assert most_connections(descriptors) == connections


class RelaysTests(RelayCase):
    async def test_clients_reach_the_live_version_and_are_refused_without_one(self) -> None:
        own, host = self.held()
        server = self.server(lambda connection: connection.sendall(b"hello"))
        relays = Relays(REACTOR, {host: own})
        relays.set_live({host: server.target})
        client = self.connected(host)
        self.assertEqual(await self.run_in_thread(receive_all, client), b"hello")
        self.assertEqual((relays.connections("web-0"), relays.connections("web-1")), (1, 0))
        relays.close("web-0")
        client.close()
        await self.until(lambda: relays.connections("web-0") == 0)
        relays.stop()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, host.number), PATIENCE)
