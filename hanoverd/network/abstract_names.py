"""Abstract names of Unix sockets, and the users that hold them (unix(7)).

An abstract name belongs to the network namespace, and every user can take a free one. The kernel releases it with the process
that holds it, however that ends.
"""

from __future__ import annotations

import errno
import socket
import struct

# struct nlmsghdr, with SOCK_DIAG_BY_FAMILY as a dump (netlink(7), sock_diag(7)).
_HEADER = "=IHHII"
_SOCK_DIAG_BY_FAMILY, _REQUEST, _DUMP, _DONE, _ERROR = 20, 0x1, 0x300, 3, 2

#: struct unix_diag_req, and what it asks for: the names and the users of sockets in all states.
_QUESTION = "=BBHIIIII"
_ALL_STATES, _SHOW_NAME, _SHOW_UID = 0xFFFFFFFF, 0x1, 0x40

#: struct unix_diag_msg, and the header and kinds of its attributes (struct nlattr).
_ANSWER, _ATTRIBUTE = "=BBBBIII", "=HH"
_NAME, _UID = 0, 7

_NETLINK_SOCK_DIAG = 4
_BUFFER = 64 * 1024

#: How long the kernel may take to answer, in seconds.
_TIMEOUT = 5.0


def hold_name(name: str) -> socket.socket | None:
    """Hold an abstract name until the socket is closed; return None if another process holds it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0{name}")
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return held


def holder_of(name: str) -> int | None:
    """Return the user that holds an abstract name; None if it is free, or if the kernel does not know.

    It needs Linux 5.3 or newer, with the module unix_diag.
    """
    wanted = f"\0{name}".encode()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_TIMEOUT)
            question = struct.pack(
                _QUESTION, socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_NAME | _SHOW_UID, 0xFFFFFFFF, 0xFFFFFFFF
            )
            length = struct.calcsize(_HEADER) + len(question)
            netlink.send(struct.pack(_HEADER, length, _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 0, 0) + question)
            while True:
                is_last, found = _read(netlink.recv(_BUFFER), wanted)
                if found is not None or is_last:
                    return found
    except OSError:
        return None


def _read(messages: bytes, wanted: bytes) -> tuple[bool, int | None]:
    """Return whether these are the last messages, and the user of the socket with the name ``wanted``."""
    while len(messages) >= struct.calcsize(_HEADER):
        length, kind, *_ = struct.unpack_from(_HEADER, messages)
        if kind in (_DONE, _ERROR) or length < struct.calcsize(_HEADER):
            return True, None
        start = struct.calcsize(_HEADER)
        attributes = _attributes(messages[start + struct.calcsize(_ANSWER) : length])
        # Sockets of other types have names of their own.
        is_stream = messages[start + 1 : start + 2] == bytes([socket.SOCK_STREAM])
        if is_stream and attributes.get(_NAME) == wanted and _UID in attributes:
            (uid,) = struct.unpack("=I", attributes[_UID])
            return False, uid
        messages = messages[_aligned(length) :]
    return False, None


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    size = struct.calcsize(_ATTRIBUTE)
    while len(data) >= size:
        length, kind = struct.unpack_from(_ATTRIBUTE, data)
        if length < size:
            break
        found[kind] = data[size:length]
        data = data[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
