"""The message that deletes a connection, byte by byte."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.network.netlink import Reply, message

PORTS = st.integers(0, 65535)
REPLIES = st.one_of(
    st.builds(Reply, st.ip_addresses(v=4), PORTS, st.ip_addresses(v=4), PORTS),
    st.builds(Reply, st.ip_addresses(v=6), PORTS, st.ip_addresses(v=6), PORTS),
)


def test_a_message_for_ipv4() -> None:
    reply = Reply(IPv4Address("172.17.0.2"), 80, IPv4Address("10.0.0.2"), 40000)
    header = struct.pack("=IHHII", 72, 0x102, 1, 0, 0) + bytes([2, 0, 0, 0])
    addresses = struct.pack("=HH", 8, 1) + bytes([172, 17, 0, 2]) + struct.pack("=HH", 8, 2) + bytes([10, 0, 0, 2])
    protocol = struct.pack("=HH4s", 5, 1, b"\x06") + struct.pack("=HH", 6, 2) + b"\x00\x50\x00\x00"
    protocol += struct.pack("=HH", 6, 3) + b"\x9c\x40\x00\x00"
    parts = struct.pack("=HH", 20, 0x8001) + addresses + struct.pack("=HH", 28, 0x8002) + protocol
    assert message(reply) == header + struct.pack("=HH", 52, 0x8002) + parts


def test_a_message_for_ipv6_names_the_family() -> None:
    found = message(Reply(IPv6Address("fd00::2"), 80, IPv6Address("fd00::3"), 40000))
    assert found[16] == 10
    assert IPv6Address("fd00::2").packed in found


@given(REPLIES)
def test_the_lengths_are_right_so_that_the_kernel_finds_the_tuple(reply: Reply) -> None:
    # A message without a tuple deletes all connections.
    found = message(reply)
    assert struct.unpack_from("=I", found)[0] == len(found)
    length, kind = struct.unpack_from("=HH", found, 20)
    assert (length, kind) == (len(found) - 20, 0x8002)
    places = _attributes(found[24:])
    assert set(places) == {0x8001, 0x8002}
    assert sorted(_attributes(places[0x8001])) == ([1, 2] if reply.source.version == 4 else [3, 4])
    ports = _attributes(places[0x8002])
    assert [struct.unpack("!H", ports[kind])[0] for kind in (2, 3)] == [reply.source_port, reply.destination_port]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length]
        data = data[length + -length % 4 :]
    return found
