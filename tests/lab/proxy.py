"""An HTTP proxy in front of a registry, with faults.  usage: proxy.py PORT UPSTREAM-PORT FOLDER

Listens on loopback.  With a number in FOLDER/busy it answers as many requests with 429; with a file FOLDER/cut it closes the
connection within the answers for blobs; with FOLDER/stall it never answers for blobs; with FOLDER/shout it answers with an error
of 10 MiB that has control characters.  FOLDER/requests lists all requests.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, UPSTREAM, FOLDER = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.pass_on()

    def do_GET(self) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        with (FOLDER / "requests").open("a") as log:
            log.write(f"{self.command} {self.path}\n")
        busy = FOLDER / "busy"
        left = int(busy.read_text()) if busy.exists() else 0
        if left and "manifests" in self.path:
            busy.write_text(str(left - 1))
            body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"you have reached your pull rate limit"}]}'
            self.send_response(429)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)
            return
        if (FOLDER / "shout").exists() and "manifests" in self.path:
            message = "no\x1b[2J\n14:03:21 web-3: live " + "x" * 10_000_000
            body = json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()
            self.send_response(403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)
            return
        while (FOLDER / "stall").exists() and "blobs" in self.path:
            time.sleep(0.05)
        upstream = http.client.HTTPConnection("127.0.0.1", UPSTREAM)
        # A header may be repeated: newer engines send an Accept for each kind of manifest.
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders()
        answer = upstream.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if (FOLDER / "cut").exists() and "blobs" in self.path:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(body)
        upstream.close()


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
