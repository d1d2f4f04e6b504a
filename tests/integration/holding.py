"""Hold connections to HOST PORT, idle and in the middle of a request, and print how each of them closes.

usage: python holding.py HOST PORT SECONDS
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

SLOW = b"GET /slow?600 HTTP/1.1\r\nHost: x\r\n\r\n"
QUICK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def hold(address: tuple[str, int], request: bytes, seconds: float, ends: list[str]) -> None:
    """Hold a connection until it closes, and send more data from time to time, as a client in use does."""
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.sendall(request)
        if request is QUICK:
            connection.recv(65536)
        held.release()
        connection.settimeout(0.5)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if connection.recv(65536) == b"":
                    ends.append("closed")
                    return
            except TimeoutError:
                try:
                    connection.sendall(QUICK)
                except OSError:
                    ends.append("reset")
                    return
            except OSError:
                ends.append("reset")
                return
    ends.append("silence")


held = threading.Semaphore(0)


def main() -> None:
    """Hold four connections of each kind."""
    address = (sys.argv[1], int(sys.argv[2]))
    ends: list[str] = []
    threads = [
        threading.Thread(target=hold, args=(address, request, float(sys.argv[3]), ends))
        for request in (SLOW, QUICK)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
        held.acquire()
    print("held", flush=True)
    for thread in threads:
        thread.join()
    print(json.dumps(sorted(ends)), flush=True)


if __name__ == "__main__":
    main()
