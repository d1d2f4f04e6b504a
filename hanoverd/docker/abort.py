"""Aborts the requests of a thread from another thread."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from hanoverd.runtime.errors import EngineUnreachable


class Abort:
    """Aborts the requests of one thread from another.

    It shuts down their sockets: that wakes a blocked reader at once, and the engine stops the build or pull when the
    connection closes. Closing the response or the client does neither.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.requested = False

    def request(self) -> None:
        """Abort the current requests, and refuse new ones. Idempotent; does not block."""
        with self._lock:
            self.requested = True
            for sock in self._sockets:
                _shut(sock)

    def check(self) -> None:
        """Raise ``EngineUnreachable`` if an abort was requested."""
        if self.requested:
            raise EngineUnreachable("the request was aborted")

    def watch(self, sock: socket.socket) -> None:
        """Shut ``sock`` down when an abort is requested, or at once if it was."""
        with self._lock:
            self._sockets.append(sock)
            if self.requested:
                _shut(sock)

    def forget(self) -> None:
        """Close the sockets: docker-py leaves the socket of an unfinished stream to the garbage collector."""
        with self._lock:
            for sock in self._sockets:
                # close() has no effect while the response uses the socket.
                descriptor = sock.detach()
                if descriptor >= 0:
                    os.close(descriptor)
            self._sockets.clear()


def watch_sockets(adapter: Any, abort: Abort) -> None:
    """Make ``abort`` watch each socket that the adapter opens.

    requests and urllib3 have no hook for this, so it wraps two methods of these objects: the one that finds a pool and
    the one that opens a connection.
    """
    find_pool = adapter.get_connection_with_tls_context

    def find_watched_pool(*args: Any, **kwargs: Any) -> Any:
        pool = find_pool(*args, **kwargs)
        if "_new_conn" not in vars(pool):
            new_connection = pool._new_conn  # noqa: SLF001

            def new_watched_connection() -> Any:
                connection = new_connection()
                connect = connection.connect

                def connect_watched() -> None:
                    abort.check()
                    connect()
                    abort.watch(connection.sock)

                connection.connect = connect_watched
                return connection

            pool._new_conn = new_watched_connection  # noqa: SLF001
        return pool

    adapter.get_connection_with_tls_context = find_watched_pool


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # It is closed.
