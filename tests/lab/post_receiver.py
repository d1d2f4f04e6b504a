"""A webhook's receiver: prints each POST as a JSON object, a line each.  usage: post_receiver.py PORT"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        """Print the request."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print(json.dumps({"headers": dict(self.headers), "body": body}), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # its name in the library
        """Print nothing else."""


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print("ready", flush=True)
server.serve_forever()
