"""Serves the metrics of control sockets over TCP.  usage: metrics_relay.py PORT APP=SOCKET..."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hanoverd.web.metrics import CONTENT_TYPE, joined
from tests.lab.api import call

SOCKETS = dict(argument.split("=", 1) for argument in sys.argv[2:])


def asked(path: str) -> str | None:
    """Return what a daemon answers; None if it does not."""
    try:
        status, body = call(path, "GET", "/metrics", timeout=5)
    except OSError:
        return None
    return body.decode() if status == 200 else None


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        body = joined({app: asked(path) for app, path in SOCKETS.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    print("ready", flush=True)
    server.serve_forever()
