"""A client that asks the app under test again and again, over TCP or UDP, until its input ends; then it prints what came.

usage: python asker.py SECONDS tcp|udp ADDRESS PORT [SOURCE_PORT]

An answer may take SECONDS.  With a source port, all datagrams are of one flow.  The result is a list of ``[SECONDS, ANSWER]``: the seconds on the
monotonic clock, and the first word of the answer, which is the version's name, or the name of the error.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

#: The time between two questions, in seconds.
INTERVAL = 0.05


def ask(kind: socket.SocketKind, address: tuple[str, int], source_port: int, within: float) -> str:
    """Return the first word of the answer."""
    [(family, _, _, _, resolved), *_] = socket.getaddrinfo(*address, type=kind)
    with socket.socket(family, kind) as client:
        client.settimeout(within)
        if source_port:
            client.bind(("", source_port))
        client.connect(resolved)
        if kind is socket.SOCK_DGRAM:
            client.send(b"who are you?")
            return client.recv(2048).decode().split()[0]
        client.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        received = b""
        while data := client.recv(65536):
            received += data
        return received.partition(b"\r\n\r\n")[2].decode().split()[0]


def main() -> None:
    """Ask until the input ends."""
    within, protocol, address, port, *source_port = sys.argv[1:]
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
    answers: list[tuple[float, str]] = []
    while True:
        try:
            answer = ask(kind, (address, int(port)), int(source_port[0]) if source_port else 0, float(within))
        except OSError as error:
            answer = type(error).__name__
        answers.append((time.monotonic(), answer))
        if len(answers) == 1:
            print("asked", flush=True)
        if select.select([sys.stdin], [], [], INTERVAL)[0]:
            break
    print(json.dumps(answers), flush=True)


main()
