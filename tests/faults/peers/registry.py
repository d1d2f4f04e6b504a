"""A registry that misbehaves (distribution specification)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

from tests.faults.peers import http
from tests.faults.peers.http import ESCAPES, PIECE, Behaviour, endless, line_of

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_PORT = os.environ.get("PORT", "5000")


def _digest(character: str) -> str:
    return f"sha256:{character * 64}"


def _answer(connection: socket.socket, kind: str, body: bytes, status: str = "200 OK", more: str = "") -> None:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    )
    connection.sendall(head.encode() + body)


def _with_manifest(blob: Behaviour, layers: int = 1) -> Behaviour:
    """Announce an image whose blobs are served by ``blob``."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 500, "digest": _digest("a")},
        "layers": [
            {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 10**12, "digest": _digest("b")}
        ]
        * layers,
    }

    def behave(connection: socket.socket, request: bytes) -> None:
        if b"/blobs/" in line_of(request):
            blob(connection, request)
        elif b"/manifests/" in line_of(request):
            _answer(connection, _MANIFEST, json.dumps(manifest).encode())
        else:
            _answer(connection, "application/json", b"{}")

    return behave


def _error(connection: socket.socket, _: bytes) -> None:
    text = (ESCAPES * 2000).decode("utf-8", "replace")
    body = json.dumps({"errors": [{"code": "DENIED", "message": text, "detail": text}]}).encode()
    _answer(connection, "application/json", body, "403 No")


def _login_elsewhere(connection: socket.socket, request: bytes) -> None:
    if line_of(request).startswith(b"/token"):
        endless(connection, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{", b" " * PIECE)
    challenge = f'WWW-Authenticate: Bearer realm="http://127.0.0.1:{_PORT}/token",service="x"\r\n'
    _answer(connection, "application/json", b"{}", "401 No", challenge)


def _huge_manifest(connection: socket.socket, request: bytes) -> None:
    if b"/manifests/" in line_of(request):
        endless(connection, f"HTTP/1.1 200 OK\r\nContent-Type: {_MANIFEST}\r\n\r\n".encode(), b"[" * PIECE)
    _answer(connection, "application/json", b"{}")


BEHAVIOURS: Mapping[str, Behaviour] = {
    **http.BEHAVIOURS,
    **http.SUCCESSES,
    "error with escape sequences": _error,
    "login elsewhere": _login_elsewhere,
    "endless manifest": _huge_manifest,
    "wrong blobs": _with_manifest(lambda to, _: _answer(to, "application/octet-stream", os.urandom(500))),
    "endless blobs": _with_manifest(http.SUCCESSES["endless body"]),
    "thousands of layers": _with_manifest(http.SUCCESSES["short body"], 5000),
}


if __name__ == "__main__":
    http.main(BEHAVIOURS)
