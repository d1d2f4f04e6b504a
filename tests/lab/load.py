"""Clients that send requests and count what happens on the wire.

usage: load.py HOST PORT [--path PATH] [--workers N] [--pause SECONDS] [--seconds SECONDS] [--timeout SECONDS]
               [--keep-alive] [--repeat-once]

Each worker sends one GET after another, on a new connection each time, or with --keep-alive on one for as long as the
server keeps it.  With --repeat-once a request is sent once more, on a new connection, when its REUSED connection closes
before any byte of an answer, which HTTP lets a client do (RFC 9110 9.2.2, RFC 9112 9.3.1).  Prints "sent" when each worker
has sent its first request, or could not.  Ends after --seconds from then, or at the end of standard input, when the requests
under way are answered; then prints what it counted as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field


class ClosedUnderRequest(Exception):
    """The connection was closed before the first byte of the answer."""


class Cut(Exception):
    """The connection was closed in the middle of an answer."""


@dataclass
class Counts:
    """The outcomes of all requests."""

    requests: int = 0
    ok: int = 0
    failed: int = 0
    repeated: int = 0
    closed_under_request: int = 0
    cut: int = 0
    connections: int = 0
    errors: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)


class Client:
    """One worker with its connection."""

    def __init__(self, options: argparse.Namespace, counts: Counts, lock: threading.Lock) -> None:
        self._options = options
        self._counts = counts
        self._lock = lock
        self._connection: socket.socket | None = None
        #: Set when the first request was sent, or could not be.
        self.has_sent = threading.Event()

    def work(self, ended: threading.Event) -> None:
        """Send requests until ``ended`` is set."""
        while not ended.is_set():
            self._request()
            if self._options.pause:
                ended.wait(self._options.pause)
        self._close()

    def _request(self) -> None:
        with self._lock:
            self._counts.requests += 1
        reused = self._connection is not None
        try:
            try:
                body = self._ask()
            except ClosedUnderRequest:
                if reused:
                    self._count("closed_under_request")
                if not (reused and self._options.repeat_once):
                    raise
                self._count("repeated")
                body = self._ask()
        except Exception as error:
            self._fail(error)
            return
        version = body.split()[0].decode() if body.split() else ""
        with self._lock:
            self._counts.ok += 1
            if version not in self._counts.versions:
                self._counts.versions.append(version)

    def _ask(self) -> bytes:
        """Send one GET; keep the connection open if the next request can use it."""
        try:
            connection = self._connected()
            close = "" if self._options.keep_alive else "Connection: close\r\n"
            try:
                connection.sendall(
                    f"GET {self._options.path} HTTP/1.1\r\nHost: {self._options.host}\r\n{close}\r\n".encode()
                )
            except (BrokenPipeError, ConnectionResetError):
                raise ClosedUnderRequest from None
            self.has_sent.set()
            head, body = self._answer(connection)
        except BaseException:
            self._close()
            raise
        if not self._options.keep_alive or b"connection: close" in head.lower():
            self._close()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(head.partition(b"\r\n")[0].decode())
        return body

    def _answer(self, connection: socket.socket) -> tuple[bytes, bytes]:
        received = b""
        while True:
            head, blank, body = received.partition(b"\r\n\r\n")
            if blank:
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                if len(body) >= length:
                    return head, body[:length]
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Cut(received[:100]) if received else ClosedUnderRequest
            received += data

    def _connected(self) -> socket.socket:
        if self._connection is None:
            self._connection = socket.create_connection((self._options.host, self._options.port), self._options.timeout)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._count("connections")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _count(self, name: str) -> None:
        with self._lock:
            setattr(self._counts, name, getattr(self._counts, name) + 1)

    def _fail(self, error: Exception) -> None:
        self.has_sent.set()
        self._close()
        with self._lock:
            self._counts.failed += 1
            self._counts.cut += isinstance(error, Cut)
            if len(self._counts.errors) < 10:
                self._counts.errors.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}")


def _end_with_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    """Run the workers and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--path", default="/")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--keep-alive", action="store_true")
    parser.add_argument("--repeat-once", action="store_true")
    options = parser.parse_args()
    counts, lock, ended = Counts(), threading.Lock(), threading.Event()
    threading.Thread(target=_end_with_input, args=(ended,), daemon=True).start()
    clients = [Client(options, counts, lock) for _ in range(options.workers)]
    threads = [threading.Thread(target=client.work, args=(ended,)) for client in clients]
    for thread in threads:
        thread.start()
    for client in clients:
        client.has_sent.wait()
    print("sent", flush=True)
    ended.wait(options.seconds)
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps(asdict(counts)))


main()
