"""HTTP requests over a Unix socket, independent of the code under test."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(
    socket_path: str,
    method: str,
    path: str,
    body: object = None,
    timeout: float = 60,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send a request; ``body`` is sent unchanged if it is bytes or a file, else as JSON."""
    connection = _UnixConnection(socket_path, timeout)
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes) and not hasattr(body, "read"):
        body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    elif body is not None:
        headers["Content-Type"] = "application/x-tar"
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def get_json(socket_path: str, path: str) -> Any:
    """Return the JSON answer to a GET that must succeed."""
    status, body = call(socket_path, "GET", path)
    if status != 200:
        raise AssertionError(f"GET {path}: {status} {body!r}")
    return json.loads(body)
