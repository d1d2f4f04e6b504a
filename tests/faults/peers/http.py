"""An HTTP server that misbehaves.  usage: http.py PORT BEHAVIOUR (or the variables PORT and BEHAVIOUR)

It is a hostile app too, in a container: hence plain sockets, and no import from this project.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping

Behaviour = Callable[[socket.socket, bytes], None]

#: Endless data comes in pieces of so many bytes, with so many seconds between them: 20 MB/s at the most.
PIECE, PAUSE = 64 * 1024, 0.003

#: What a terminal or a log must not receive as it is.
ESCAPES = b"\x1b[2J\x1b]0;owned\x07\x9b31m\r\vhanoverd: web-9 is live\xe2\x80\xa8\x00\xff"

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"


def endless(connection: socket.socket, start: bytes, piece: bytes) -> None:
    """Send ``start``, and then ``piece`` until the client closes the connection."""
    connection.sendall(start)
    while True:
        connection.sendall(piece)
        time.sleep(PAUSE)


def drip(connection: socket.socket, text: bytes) -> None:
    """Send one byte after another, so slowly that no timeout of a read ends it."""
    for byte in text:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def silence(connection: socket.socket, request: bytes) -> None:
    """Never answer."""
    del request
    while connection.recv(PIECE):
        pass


def reset(connection: socket.socket, request: bytes) -> None:
    """Reset the connection (socket(7), SO_LINGER)."""
    del request
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(connection: socket.socket, request: bytes) -> None:
    """Send random bytes."""
    del request
    connection.sendall(os.urandom(PIECE))


def endless_garbage(connection: socket.socket, request: bytes) -> None:
    """Send random bytes without end."""
    del request
    endless(connection, b"", os.urandom(PIECE))


def line_of(request: bytes) -> bytes:
    """Return the URL of a request."""
    return request.split(b" ", 2)[1] if request.count(b" ") > 1 else b"/"


#: By name; each has the connection and the head of the request.
BEHAVIOURS: Mapping[str, Behaviour] = {
    "silence": silence,
    "reset": reset,
    "garbage": garbage,
    "endless garbage": endless_garbage,
    "endless headers": lambda to, _: endless(to, _OK, b"X-Header: value\r\n" * 4000),
    "endless header": lambda to, _: endless(to, _OK + b"X-Header: ", b"a" * PIECE),
    "endless interim answers": lambda to, _: endless(to, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
    "slow headers": lambda to, _: drip(to, _OK + b"X-Header: " + b"a" * 10_000),
    "impossible length": lambda to, _: to.sendall(b"HTTP/1.1 500 No\r\nContent-Length: -5\r\n\r\nno"),
    "impossible chunks": lambda to, _: to.sendall(
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"
    ),
    "redirect to itself": lambda to, got: to.sendall(
        b"HTTP/1.1 307 X\r\nLocation: " + line_of(got) + b"\r\nContent-Length: 0\r\n\r\n"
    ),
    "redirect to a file": lambda to, _: to.sendall(
        b"HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
    ),
    "escape sequences": lambda to, _: to.sendall(
        b"HTTP/1.1 500 " + ESCAPES.replace(b"\r", b"") + b"\r\nContent-Length: %d\r\n\r\n" % len(ESCAPES) + ESCAPES
    ),
    "endless error": lambda to, _: endless(to, b"HTTP/1.1 500 No\r\n\r\n", ESCAPES * 1000),
}

#: These begin with success.
SUCCESSES: Mapping[str, Behaviour] = {
    "endless body": lambda to, _: endless(to, _OK + b"\r\n", bytes(PIECE)),
    "slow body": lambda to, _: drip(to, _OK + b"Content-Length: 1000000\r\n\r\n" + b"{" * 1000),
    "short body": lambda to, _: to.sendall(_OK + b"Content-Length: 1000000\r\n\r\n{}"),
}


def serve(port: int, behaviour: Behaviour, address: str = "127.0.0.1") -> None:
    """Serve all connections in this way; does not return."""
    listener = socket.create_server((address, port), backlog=128)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_converse, args=(connection, behaviour), daemon=True).start()


def read_head(connection: socket.socket) -> bytes:
    """Return what the client sends first."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(PIECE)):
        received += piece
        # TLS, or git's protocol: not HTTP.
        if not received[:1].isalpha():
            break
    return received


def _converse(connection: socket.socket, behaviour: Behaviour) -> None:
    try:
        with connection:
            behaviour(connection, read_head(connection))
    except OSError:
        pass  # The client has closed the connection.


def main(behaviours: Mapping[str, Behaviour], address: str = "127.0.0.1") -> None:
    """Serve at PORT with BEHAVIOUR."""
    port, name = sys.argv[1:] or (os.environ["PORT"], os.environ["BEHAVIOUR"])
    serve(int(port), behaviours[name], address)


if __name__ == "__main__":
    main({**BEHAVIOURS, **SUCCESSES}, "127.0.0.1" if sys.argv[1:] else "0.0.0.0")
