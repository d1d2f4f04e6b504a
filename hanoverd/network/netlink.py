"""Deletes connections from the kernel's table by the address that answers them, over a netlink socket.

The program ``conntrack`` deletes a connection by the client's address and port, which may be another connection's by then.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

#: linux/netlink.h: the netlink family of netfilter, and the flags of a request and of an attribute that has attributes.
_NETLINK_NETFILTER, _NLM_F_REQUEST, _NLA_F_NESTED = 12, 1, 0x8000

#: linux/netfilter/nfnetlink_conntrack.h: the subsystem, and the message that deletes one connection.  Without a tuple, that
#: message deletes all connections.
_NFNL_SUBSYS_CTNETLINK, _IPCTNL_MSG_CT_DELETE = 1, 2

#: The same file: the attributes of a tuple.
_CTA_TUPLE_REPLY, _CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 2, 1, 2
_CTA_IP_V4_SRC, _CTA_IP_V4_DST, _CTA_IP_V6_SRC, _CTA_IP_V6_DST = 1, 2, 3, 4
_CTA_PROTO_NUM, _CTA_PROTO_SRC_PORT, _CTA_PROTO_DST_PORT = 1, 2, 3

#: How many messages are sent at a time.
_AT_A_TIME = 100


@dataclass(frozen=True)
class Reply:
    """The answers of a TCP connection: from a container's address and port to a client's."""

    source: IPv4Address | IPv6Address
    source_port: int
    destination: IPv4Address | IPv6Address
    destination_port: int

    @classmethod
    def parse(cls, source: str, destination: str, source_port: str, destination_port: str) -> Reply:
        """Read the fields of ``conntrack -L``.  ValueError for anything else."""
        return cls(ip_address(source), int(source_port), ip_address(destination), int(destination_port))


def deletions(replies: Sequence[Reply]) -> Iterator[None]:
    """Delete the connections with these replies: a part with each step of the iterator.

    A connection that is gone is ignored.  OSError, from the first step, without the capability CAP_NET_ADMIN.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as channel:
        channel.settimeout(0)
        for start in range(0, len(replies), _AT_A_TIME):
            channel.send(b"".join(message(reply) for reply in replies[start : start + _AT_A_TIME]))
            _check_permission(channel)
            yield


def message(reply: Reply) -> bytes:
    """Return the message that deletes the connection with this reply."""
    is_ipv4 = reply.source.version == 4
    kinds = (_CTA_IP_V4_SRC, _CTA_IP_V4_DST) if is_ipv4 else (_CTA_IP_V6_SRC, _CTA_IP_V6_DST)
    addresses = _attribute(kinds[0], reply.source.packed) + _attribute(kinds[1], reply.destination.packed)
    protocol = _attribute(_CTA_PROTO_NUM, bytes([socket.IPPROTO_TCP]))
    protocol += _attribute(_CTA_PROTO_SRC_PORT, struct.pack("!H", reply.source_port))
    protocol += _attribute(_CTA_PROTO_DST_PORT, struct.pack("!H", reply.destination_port))
    parts = _attribute(_CTA_TUPLE_IP | _NLA_F_NESTED, addresses) + _attribute(
        _CTA_TUPLE_PROTO | _NLA_F_NESTED, protocol
    )
    # struct nfgenmsg: family, version, resource ID.
    family = socket.AF_INET if is_ipv4 else socket.AF_INET6
    body = struct.pack("=BBH", family, 0, 0) + _attribute(_CTA_TUPLE_REPLY | _NLA_F_NESTED, parts)
    # struct nlmsghdr: length, type, flags, sequence number, port.
    kind = _NFNL_SUBSYS_CTNETLINK << 8 | _IPCTNL_MSG_CT_DELETE
    return struct.pack("=IHHII", 16 + len(body), kind, _NLM_F_REQUEST, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute: length, type, value, and padding to a multiple of four (linux/netlink.h, NLA_ALIGN)."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _check_permission(channel: socket.socket) -> None:
    """Read the kernel's answers, which are errors only: the messages ask for no other.  PermissionError if it is that."""
    while True:
        try:
            answer = channel.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            continue  # The kernel has dropped errors that were not read in time.
        # After struct nlmsghdr, struct nlmsgerr has a negative errno first.
        code = -struct.unpack_from("=i", answer, 16)[0] if len(answer) >= 20 else 0
        if code == errno.EPERM:
            raise PermissionError(code, "not permitted to delete tracked connections")
