"""A client that asks the app under test again and again, over TCP or UDP, until its input ends; then it prints what came.

usage: python asker.py SECONDS INTERVAL tcp|udp ADDRESS PORT [SOURCE_PORT]

An answer may take SECONDS, and INTERVAL is the time between two questions in seconds.  With a source port, all datagrams are of
one flow; without, each is of a new one.  The result is a list of ``[SECONDS, ANSWER]``: the seconds on the
monotonic clock, and the first word of the answer, which is the version's name, or the name of the error.
"""

from __future__ import annotations

import itertools
import json
import random
import select
import socket
import sys
import time

#: Where the source ports of datagrams come from, one after another: a port that the kernel chooses may be used again, while
#: it remembers the flow that had it before.
PORTS = itertools.count(random.randrange(20000, 30000))


def bind(client: socket.socket, source_port: int) -> None:
    """Bind a socket for datagrams to a source port, or to the next one that is free."""
    while True:
        try:
            client.bind(("", source_port or next(PORTS)))
        except OSError:
            if source_port:
                raise
        else:
            return


def ask(kind: socket.SocketKind, address: tuple[str, int], source_port: int, within: float) -> str:
    """Return the first word of the answer."""
    [(family, _, _, _, resolved), *_] = socket.getaddrinfo(*address, type=kind)
    with socket.socket(family, kind) as client:
        client.settimeout(within)
        if kind is socket.SOCK_DGRAM:
            bind(client, source_port)
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
    within, interval, protocol, address, port, *source_port = sys.argv[1:]
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
        if select.select([sys.stdin], [], [], float(interval))[0]:
            break
    print(json.dumps(answers), flush=True)


main()
