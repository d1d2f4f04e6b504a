"""Sockets that receive nothing for a while."""

from __future__ import annotations

import socket

import pytest

from hanoverd.network import datagrams
from tests.unit.network.relay_case import LOOPBACK, PATIENCE, held_socket


@pytest.mark.parametrize("has_capability", [True, False])
def test_what_is_sent_while_a_socket_receives_nothing_is_not_received_later(
    monkeypatch: pytest.MonkeyPatch, *, has_capability: bool
) -> None:
    if not has_capability:
        monkeypatch.setattr(datagrams, "_can_unbind_from_device", lambda: False)
    buffer = memoryview(bytearray(100))
    with held_socket(kind=socket.SOCK_DGRAM) as own, socket.socket(own.family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        for _ in range(2):
            datagrams.stop_receiving(own)
            client.sendto(b"lost", own.getsockname())
            datagrams.start_receiving(own)
            client.sendto(b"found", own.getsockname())
            size, peer = datagrams.receive(own, buffer)
            assert bytes(buffer[:size]) == b"found"
            assert peer is not None
            assert peer.address[:2] == (LOOPBACK, client.getsockname()[1])
            datagrams.send(own, buffer[:size], peer)
            assert client.recvfrom(100) == (b"found", own.getsockname())
            # This one is there when the next round starts.
            client.sendto(b"too late", own.getsockname())
        datagrams.stop_receiving(own)
        with pytest.raises(BlockingIOError):
            datagrams.receive(own, buffer)
