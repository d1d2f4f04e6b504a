"""Datagrams together with the address of this host that they were sent to.

A host has several addresses, and a client takes an answer only from the one that it had sent to. So a server that is bound
to all addresses has to ask the kernel for that address, and to answer from it (ipv6(7), IPV6_RECVPKTINFO; ip(7), IP_PKTINFO).

A UDP socket that is bound to a network device that does not exist, or has a filter that accepts nothing, receives nothing and
stays bound to its port.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

#: Python 3.11 has no names for them (include/uapi/linux/in.h; include/uapi/asm-generic/socket.h, Linux 5.0).
_IP_PKTINFO, _SO_ATTACH_FILTER, _SO_DETACH_FILTER, _SO_BINDTOIFINDEX = 8, 26, 27, 62

#: No network device has the highest index: the kernel counts from 1.
_NO_DEVICE = 2**31 - 1

#: struct in6_pktinfo: the address, and the index of the network device.
_PKTINFO6 = struct.Struct("=16si")

#: struct in_pktinfo: the index, the address for answers, and the address in the datagram.
_PKTINFO4 = struct.Struct("=i4s4s")

#: The longest datagram, in bytes.
LONGEST = 65535

#: How many datagrams that arrived too late are discarded at a time: more than the kernel keeps of small ones.
_MOST_DISCARDED = 1000


@dataclass(frozen=True)
class Peer:
    """A client: its address, as a socket has it, and the address of this host that it sends to."""

    address: Any
    own: bytes

    def __hash__(self) -> int:
        return hash(self.address)


def receive(bound: socket.socket, buffer: memoryview) -> tuple[int, Peer | None]:
    """Receive a datagram into ``buffer``, and return its length and its sender.

    The sender is None where the datagram was sent to many hosts. BlockingIOError if there is no datagram.
    """
    size, ancillary, _, address = bound.recvmsg_into([buffer], socket.CMSG_SPACE(_PKTINFO6.size))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            own, index = _PKTINFO6.unpack(data)
            local = IPv6Address(own)
            if local.is_multicast:
                return size, None
            # A link-local address has a meaning on one device only; elsewhere the answer may take another way.
            return size, Peer(address, _PKTINFO6.pack(own, index if local.is_link_local else 0))
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _, own, sent_to = _PKTINFO4.unpack(data)
            return size, Peer(address, _PKTINFO4.pack(0, own, bytes(4))) if own == sent_to else None
    return size, None


def send(bound: socket.socket, data: memoryview, peer: Peer) -> None:
    """Send a datagram to a client, from the address that it had sent to.  OSError if it was not sent."""
    if bound.family == socket.AF_INET6:
        ancillary = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, peer.own)
    else:
        ancillary = (socket.IPPROTO_IP, _IP_PKTINFO, peer.own)
    bound.sendmsg([data], [ancillary], 0, peer.address)


def start_receiving(bound: socket.socket) -> None:
    """Undo ``stop_receiving``; ``receive`` can be used from then on.

    PermissionError where another program had bound the socket to a device, without the capability CAP_NET_RAW.
    """
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    with contextlib.suppress(FileNotFoundError):  # It has no filter.
        bound.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
    if bound.getsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX):
        bound.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, 0)


def stop_receiving(bound: socket.socket) -> None:
    """Have the kernel refuse what clients send, and discard what it has received.

    Without the capability CAP_NET_RAW it is not refused, and the clients wait for an answer.
    """
    if _can_unbind_from_device():
        bound.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_DEVICE)
    else:
        _discard_all(bound)
    with contextlib.suppress(BlockingIOError):
        for _ in range(_MOST_DISCARDED):
            bound.recv(1)


def _can_unbind_from_device() -> bool:
    """Return whether a socket that is bound to a device can be unbound: anyone may bind it, since Linux 5.7."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_DEVICE)
            tried.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, 0)
        except OSError:
            return False
    return True


def _discard_all(bound: socket.socket) -> None:
    """Attach a filter that accepts nothing (the kernel's Documentation/networking/filter.rst): it needs no capability."""
    # struct sock_filter: BPF_RET | BPF_K, with 0 bytes of the datagram; struct sock_fprog: the number of them, and a pointer.
    accept_nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
    program = struct.pack("HP", 1, ctypes.addressof(accept_nothing))
    bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
