"""A relay from a TCP port on loopback to a Unix socket, for programs that do not connect to Unix sockets."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

#: How long an answer without an end is relayed, in seconds.
STREAM_SECONDS = 0.1

#: Requests whose answers have no end.
_ENDLESS = re.compile(rb"GET /(?:events|logs\?(?:[^ ]*&)?follow=1\b)")


class _Relay(StreamRequestHandler):
    """Relays one request and its answer, by HTTP/1.0: so an answer may end at any time."""

    def handle(self) -> None:
        """Relay a request, if there is a whole one."""
        lines = []
        while (line := self.rfile.readline(65536)) not in (b"\r\n", b""):
            lines.append(line)
        if not lines:
            return
        first = re.sub(rb" HTTP/1\.1\r\n$", b" HTTP/1.0\r\n", lines[0])
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        is_endless = _ENDLESS.match(first) is not None
        deadline = time.monotonic() + (STREAM_SECONDS if is_endless else 60)
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(str(self.path))
            far.sendall(b"".join([first, *lines[1:], b"\r\n", self.rfile.read(length)]))
            try:
                while (left := deadline - time.monotonic()) > 0:
                    far.settimeout(left)
                    data = far.recv(65536)
                    if not data:
                        return
                    self.wfile.write(data)
            except TimeoutError:
                assert is_endless, f"no answer to {first!r}"
            except OSError:
                return  # One side has closed the connection.

    @property
    def path(self) -> Path:
        """The Unix socket."""
        server: Any = self.server
        path: Path = server.unix_path
        return path


class _Server(ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def tcp_relay(path: Path) -> Iterator[int]:
    """Relay connections to the Unix socket ``path``; yields the port."""
    with _Server(("127.0.0.1", 0), _Relay) as server:
        server.unix_path = path  # type: ignore[attr-defined]  # for _Relay
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
