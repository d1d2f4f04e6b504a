"""A client that asks the app under test again and again, over TCP or UDP, until its input ends; then it prints what came.

With an answer in its input, it asks on until it gets that one, but no longer than LONGEST.

usage: python asker.py SECONDS INTERVAL tcp|udp ADDRESS PORT [SOURCE_PORT]

An answer may take SECONDS, and INTERVAL is the time between two questions in seconds.  With a source port, all datagrams are of
one flow; without, each is of a new one.  The result is a list of
``[SECONDS, ANSWER, PORT]``: the seconds on the monotonic clock, the first word of the answer, which is the version's name, or
the name of the error, and the source port.
"""

from __future__ import annotations

import errno
import itertools
import json
import random
import select
import socket
import sys
import time
from typing import Any

#: Where the source ports of datagrams come from, one after another: a port that the kernel chooses may be used again, while
#: it remembers the flow that had it before.
PORTS = itertools.count(random.randrange(20000, 30000))

#: How long it asks for one answer, in seconds.
LONGEST = 30


def ask(kind: socket.SocketKind, address: tuple[str, int], source_port: int, within: float) -> tuple[str, int]:
    """Return the first word of the answer, or the name of the error; and the source port."""
    [(family, _, _, _, resolved), *_] = socket.getaddrinfo(*address, type=kind)
    with socket.socket(family, kind) as client:
        client.settimeout(within)
        try:
            if kind is socket.SOCK_DGRAM:
                bind(client, source_port)
            answer = answered(client, resolved)
        except OSError as error:
            # ``OSError`` itself says nothing.
            answer = type(error).__name__ if type(error) is not OSError else errno.errorcode[error.errno or 0]
        return answer, client.getsockname()[1]


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


def answered(client: socket.socket, address: Any) -> str:
    """Return the first word of the answer."""
    client.connect(address)
    if client.type is socket.SOCK_DGRAM:
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
    answers: list[tuple[float, str, int]] = []
    last, end = None, float("inf")
    while True:
        answer, used = ask(kind, (address, int(port)), int(source_port[0]) if source_port else 0, float(within))
        answers.append((time.monotonic(), answer, used))
        if len(answers) == 1:
            print("asked", flush=True)
        if last is None and select.select([sys.stdin], [], [], float(interval))[0]:
            last, end = sys.stdin.read(), time.monotonic() + LONGEST
        if last in ("", answer) or time.monotonic() > end:
            break
        if last is not None:
            time.sleep(float(interval))
    print(json.dumps(answers), flush=True)


main()
