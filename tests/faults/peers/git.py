"""A git host that misbehaves, in git's own protocol (gitprotocol-pack(5))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from tests.faults.peers.http import (
    ESCAPES,
    PIECE,
    Behaviour,
    drip,
    endless,
    endless_garbage,
    garbage,
    main,
    reset,
    silence,
)

_COMMIT = b"1234567890" * 4

_CAPABILITIES = b"side-band-64k ofs-delta agent=git/2.39 symref=HEAD:refs/heads/main"

#: A file that git did not create: nothing that a host says may remove it.
_CANARY = os.environ.get("CANARY", "/nowhere/index.lock").encode()


def packet(content: bytes) -> bytes:
    """Return a line of the protocol."""
    return b"%04x" % (len(content) + 4) + content


def _refs() -> bytes:
    head = packet(_COMMIT + b" HEAD\0" + _CAPABILITIES + b"\n")
    return head + packet(_COMMIT + b" refs/heads/main\n") + b"0000"


def _fetch(connection: socket.socket) -> None:
    """Announce a commit, and read which ones the client wants."""
    connection.sendall(_refs())
    received = b""
    while b"done\n" not in received and (piece := connection.recv(PIECE)):
        received += piece
    connection.sendall(packet(b"NAK\n"))


def _messages(text: bytes) -> Behaviour:
    def behave(connection: socket.socket, _: bytes) -> None:
        _fetch(connection)
        endless(connection, b"", packet(b"\x02" + text[:8000]) * 8)

    return behave


def _pack(start: bytes, piece: bytes) -> Behaviour:
    def behave(connection: socket.socket, _: bytes) -> None:
        _fetch(connection)
        endless(connection, packet(b"\x01" + start), packet(b"\x01" + piece))

    return behave


def _error(text: bytes) -> Behaviour:
    return lambda connection, _: connection.sendall(packet(b"ERR " + text))


def _lock_message(connection: socket.socket, _: bytes) -> None:
    """Send the message of a held lock, as if it were git's own, and end."""
    _fetch(connection)
    connection.sendall(packet(b"\x02\nfatal: Unable to create '" + _CANARY + b"': File exists.\n"))
    connection.sendall(packet(b"\x03fatal: Unable to create '" + _CANARY + b"': File exists.\n"))


def _endless_refs(connection: socket.socket, _: bytes) -> None:
    connection.sendall(packet(_COMMIT + b" HEAD\0" + _CAPABILITIES + b"\n"))
    number = 0
    while True:
        names = range(number, number + 500)
        connection.sendall(b"".join(packet(_COMMIT + b" refs/heads/%d%s\n" % (name, b"x" * 200)) for name in names))
        number += 500


BEHAVIOURS: Mapping[str, Behaviour] = {
    "silence": silence,
    "reset": reset,
    "garbage": garbage,
    "endless garbage": endless_garbage,
    "slow": lambda to, _: drip(to, _refs()[:8] * 500),
    "error with escape sequences": _error(ESCAPES.replace(b"\0", b"")),
    "error that names a lock": _error(b"fatal: Unable to create '" + _CANARY + b"': File exists."),
    "message that names a lock": _lock_message,
    "endless refs": _endless_refs,
    "flood of messages": _messages(ESCAPES.replace(b"\0", b"") * 1000),
    "flood without line ends": _messages(b"x" * 8000),
    "pack of four billion objects": _pack(b"PACK\0\0\0\2\xff\xff\xff\xff", os.urandom(8000)),
    "endless object": _pack(b"PACK\0\0\0\2\0\0\0\1\xbf\xff\xff\xff\xff\x7f\x78\x9c", b"\0\0\xff\xff" * 2000),
}


if __name__ == "__main__":
    main(BEHAVIOURS)
