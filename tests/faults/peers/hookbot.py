"""A hookbot that misbehaves, before and after it opens the websocket (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import time
from collections.abc import Mapping

from tests.faults.peers import http
from tests.faults.peers.http import ESCAPES, PIECE, Behaviour, endless

_CONTINUATION, _TEXT, _BINARY, _PING, _FINAL = 0x0, 0x1, 0x2, 0x9, 0x80

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def _frame(first: int, content: bytes, length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    if size < 126:
        return bytes([first, size]) + content
    return bytes([first, 127]) + struct.pack("!Q", size) + content


def _opened(behave: Behaviour) -> Behaviour:
    def open_and_behave(connection: socket.socket, request: bytes) -> None:
        key = re.search(rb"(?i)^sec-websocket-key: *(\S+)", request, re.MULTILINE)
        if key is None:
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        behave(connection, request)

    return open_and_behave


def _messages(connection: socket.socket, _: bytes) -> None:
    while True:
        connection.sendall(_frame(_BINARY | _FINAL, b"x") * 50)
        time.sleep(0.02)


BEHAVIOURS: Mapping[str, Behaviour] = {
    **http.BEHAVIOURS,
    **http.SUCCESSES,
    "reset when open": _opened(http.reset),
    "garbage when open": _opened(http.garbage),
    "flood of messages": _opened(_messages),
    "flood of pings": _opened(lambda to, _: endless(to, b"", _frame(_PING | _FINAL, b"p" * 100) * 500)),
    "message of a tebibyte": _opened(lambda to, _: endless(to, _frame(_BINARY | _FINAL, b"", 2**40), bytes(PIECE))),
    "endless fragments": _opened(
        lambda to, _: endless(to, _frame(_BINARY, b"x"), _frame(_CONTINUATION, b"y" * 1000) * 60)
    ),
    "empty fragments": _opened(lambda to, _: endless(to, _frame(_BINARY, b""), _frame(_CONTINUATION, b"") * 20_000)),
    "escape sequences when open": _opened(lambda to, _: endless(to, b"", _frame(_TEXT | _FINAL, ESCAPES))),
    "reason with escape sequences": _opened(
        lambda to, _: to.sendall(
            _frame(0x8 | _FINAL, b"\x0f\xa0" + ESCAPES.replace(b"\xff", b"").replace(b"\x9b", b""))
        )
    ),
}


if __name__ == "__main__":
    http.main(BEHAVIOURS)
