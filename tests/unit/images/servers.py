"""Servers on loopback that do what a test says."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: What a server does with a connection, after it has read the request, which it gets.
Script = Callable[[socket.socket, bytes], object]

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(script: Script, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Run a server on loopback; return its address, and the list of the requests that it gets."""
    requests: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as wrapped:
                    wrapped.settimeout(20)
                    request = b""
                    while b"\r\n\r\n" not in request:
                        request += wrapped.recv(65536) or b"\r\n\r\n"
                    requests.append(request)
                    script(wrapped, request)
            except OSError:
                pass  # The client has gone, as it should.

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}", requests
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def says(*pieces: bytes) -> Script:
    """Return what sends this, and closes the connection."""
    return lambda connection, _: connection.sendall(b"".join(pieces))


def says_forever(start: bytes, piece: bytes) -> Script:
    """Return what sends ``start``, then ``piece`` until the client goes away."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)

    return script


def trickles(start: bytes, piece: bytes) -> Script:
    """Return what sends ``start``, then ``piece`` again and again, with pauses."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        connection.settimeout(0.02)
        while True:
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                connection.sendall(piece)

    return script


def redirects(target: str) -> Script:
    """Return what redirects to this location."""
    return says(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
