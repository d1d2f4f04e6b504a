"""Breaks off what a thread waits for on a socket, from another thread."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from hanoverd.runtime.errors import EngineUnreachable


class Abort:
    """Breaks off the requests of one thread from another.

    Shutting the socket down wakes a blocked reader at once, and the engine, seeing the connection closed,
    stops the build or pull behind it; closing the response or the client would do neither.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.requested = False

    def request(self) -> None:
        """Break off what is going on and refuse what would follow; idempotent; does not block."""
        with self._lock:
            self.requested = True
            for sock in self._sockets:
                _shut(sock)

    def check(self) -> None:
        """Raise ``EngineUnreachable`` if broken off."""
        if self.requested:
            raise EngineUnreachable("the request was broken off")

    def watch(self, sock: socket.socket) -> None:
        """Remember a socket that was just opened."""
        with self._lock:
            self._sockets.append(sock)
            if self.requested:
                _shut(sock)

    def forget(self) -> None:
        """Close the sockets: docker-py leaves that of a stream that was not read to its end to the garbage collector."""
        with self._lock:
            for sock in self._sockets:
                # close() would wait for the response, which still holds on to it.
                descriptor = sock.detach()
                if descriptor >= 0:
                    os.close(descriptor)
            self._sockets.clear()


def remember_sockets(adapter: Any, abort: Abort) -> None:
    """Have every socket that the adapter opens watched by ``abort``.

    requests and urllib3 offer no hook for this: it wraps the two methods, of these objects only, by which a
    pool is found and a connection made.
    """
    find_pool = adapter.get_connection_with_tls_context

    def finding_pool(*args: Any, **kwargs: Any) -> Any:
        pool = find_pool(*args, **kwargs)
        if "_new_conn" not in vars(pool):
            new_connection = pool._new_conn  # noqa: SLF001

            def making_connection() -> Any:
                connection = new_connection()
                connect = connection.connect

                def connecting() -> None:
                    abort.check()
                    connect()
                    abort.watch(connection.sock)

                connection.connect = connecting
                return connection

            pool._new_conn = making_connection  # noqa: SLF001
        return pool

    adapter.get_connection_with_tls_context = finding_pool


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # It was closed already.
