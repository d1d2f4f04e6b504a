"""Request two ports of one app in turn until end of input: does the second ever answer with an older version?

usage: pairwatch.py HOST PORT PORT
"""

from __future__ import annotations

import json
import socket
import sys
import threading


def version(host: str, port: int) -> str:
    """Return the version that answers on a new connection."""
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := connection.recv(4096):
            answer += data
    return answer.partition(b"\r\n\r\n")[2].split()[0].decode()


def end_with_input(ended: threading.Event) -> None:
    """Set ``ended`` at the end of standard input."""
    sys.stdin.read()
    ended.set()


def main() -> None:
    """Send requests until end of input, then print the results as JSON."""
    host, *ports = sys.argv[1:]
    ended = threading.Event()
    threading.Thread(target=end_with_input, args=(ended,), daemon=True).start()
    pairs, newest, went_back, versions = 0, -1, [], []
    while not ended.is_set():
        for port in ports:
            name = version(host, int(port))
            number = int(name.rpartition("-")[2])
            if number < newest:
                went_back.append([port, name, newest])
            newest = max(newest, number)
            if name not in versions:
                versions.append(name)
        pairs += 1
    print(json.dumps({"pairs": pairs, "went_back": went_back, "versions": versions}))


main()
