"""An app under test that is hard to ask whether it is ready: over TLS, by one host name, at its own pace.

Its environment says how: PORT, TLS (a server that answers TLS only, with cert.pem and key.pem), HOST (any other host is
answered with 421), KEY (the value that the header Authorization must have), STATUSES (those of the answers, one by one, the
last for ever), CLOSES_FOR (so many seconds it closes each connection at once), GREETS (it sends a line, and waits).
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
import time

BEGUN = time.monotonic()
STATUSES = os.environ.get("STATUSES", "200").split(",")
NAMES: list[str | None] = []


def headers_of(request: str) -> dict[str, str]:
    """Return the headers of a request."""
    pairs = (line.partition(":") for line in request.split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in pairs}


def status_of(headers: dict[str, str]) -> str:
    """Return the status of the next answer."""
    if headers.get("host", "") != os.environ.get("HOST", headers.get("host", "")):
        return "421"
    if os.environ.get("KEY", "") not in ("", headers.get("authorization", "")):
        return "401"
    return STATUSES.pop(0) if len(STATUSES) > 1 else STATUSES[0]


def converse(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    """Answer one request."""
    try:
        if time.monotonic() - BEGUN < float(os.environ.get("CLOSES_FOR", "0")):
            return
        if os.environ.get("GREETS"):
            connection.sendall(b"220 ready\r\n")
            connection.recv(1)
            return
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        request = b""
        # As servers do where a client speaks TLS, whose first byte is this one.
        while b"\r\n\r\n" not in request and not request.startswith(b"\x16"):
            data = connection.recv(65536)
            if not data:
                return
            request += data
        headers = headers_of(request.decode("latin-1"))
        status = status_of(headers)
        body = f"{socket.gethostname()} {headers.get('host')} {NAMES[-1] if NAMES else None}\n"
        print(f"answered {status}", flush=True)
        head = f"HTTP/1.1 {status} X\r\nLocation: /login\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall((head + body).encode())
    except OSError:
        pass
    finally:
        connection.close()


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    context = None
    if os.environ.get("TLS"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/cert.pem", "/key.pem")
        context.sni_callback = lambda _socket, name, _context: NAMES.append(name)
    with socket.create_server(("0.0.0.0", int(os.environ.get("PORT", "80")))) as listener:
        while True:
            connection = listener.accept()[0]
            threading.Thread(target=converse, args=(connection, context), daemon=True).start()


main()
