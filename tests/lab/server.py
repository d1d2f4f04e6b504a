"""The app under test: a small HTTP/1.1 server that stops gracefully, and whose environment selects faults.

It runs in a container, and must listen within milliseconds of its start: hence plain sockets and few imports.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

BEGUN = time.monotonic()
HOSTNAME = socket.gethostname()
ALLOCATED: list[bytes] = []


def setting(name: str, default: str = "") -> str:
    """Return a variable of the environment."""
    return os.environ.get(name, default)


def say(text: str) -> None:
    """Print a line, and flush it."""
    print(text, flush=True)


def bound_to(port: int, kind: socket.SocketKind) -> socket.socket:
    """Return a socket on a port of all addresses: of IPv4, or with IPV6=1 of both families."""
    bound = socket.socket(socket.AF_INET6 if setting("IPV6") else socket.AF_INET, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if setting("IPV6"):
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    bound.bind(("", port))
    return bound


def listening(port: int) -> socket.socket:
    """Return a socket that listens on a port."""
    listener = bound_to(port, socket.SOCK_STREAM)
    listener.listen(1024)
    return listener


def shown(address: str) -> str:
    """Return a client's address; an IPv4 address without what an IPv6 socket puts before it."""
    return address.removeprefix("::ffff:")


class Server:
    """All connections; ``ending`` is set by SIGTERM, ``draining`` by the drain signal."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: set[socket.socket] = set()
        self.busy = 0
        self.ending = False
        self.draining = False
        self.since = 0.0
        self.released = threading.Event()

    def serve(self, listener: socket.socket) -> None:
        """Accept connections, with a thread for each, until the listener is closed."""
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection, shown(address[0])), daemon=True).start()

    def serve_datagrams(self, bound: socket.socket) -> None:
        """Answer each datagram, also after SIGTERM: until the process ends."""
        while True:
            asked, address = bound.recvfrom(2048)
            answer = f"{HOSTNAME} {setting('VERSION')} {shown(address[0])}"
            bound.sendto((port_of(bound) if asked == b"port" else answer).encode(), address)

    def converse(self, connection: socket.socket, client: str) -> None:
        """Answer the requests of one connection."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        try:
            while True:
                with self.lock:
                    if self.ending:
                        return
                    self.idle.add(connection)
                while b"\r\n\r\n" not in received:
                    data = connection.recv(65536)
                    if not data:
                        return
                    received += data
                    with self.lock:
                        if connection in self.idle:
                            self.idle.remove(connection)
                            self.busy += 1
                head, _, received = received.partition(b"\r\n\r\n")
                try:
                    wants_close = b"connection: close" in head.lower()
                    if self.answer(connection, head.split(b" ", 2)[1].decode(), client, wants_close):
                        return
                finally:
                    with self.lock:
                        self.busy -= 1
        except OSError:
            pass
        finally:
            with self.lock:
                self.idle.discard(connection)
            connection.close()

    def answer(self, connection: socket.socket, target: str, client: str, wants_close: bool) -> bool:
        """Answer one request; return whether to close the connection."""
        path, _, argument = target.partition("?")
        if setting("MUTE"):
            time.sleep(3600)
        if path == "/slow":
            time.sleep(float(argument))
        if path == "/held":
            # Answered after a request of /release, or SIGTERM.
            while not (self.ending or self.released.wait(0.02)):
                pass
        if path == "/release":
            self.released.set()
        if path == "/allocate":
            allocate(int(argument))
        if path == "/exit":
            say(f"exiting with {argument}, as requested")
            os._exit(int(argument))
        body = {
            "/env": environment,
            "/argv": lambda: " ".join(sys.argv),
            "/since": lambda: f"{HOSTNAME} {self.since}",
            "/port": lambda: port_of(connection),
        }.get(path, lambda: f"{HOSTNAME} {setting('VERSION')} {client}")().encode() + b"\n"
        close = self.ending or self.draining or wants_close
        head = f"HTTP/1.1 {status()} X\r\nContent-Length: {len(body)}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
        if path == "/stream":
            half = len(body) // 2
            connection.sendall(head.encode() + body[:half])
            time.sleep(float(argument))
            connection.sendall(body[half:])
        else:
            connection.sendall(head.encode() + body)
        return close

    def end(self) -> None:
        """Stop as Go's http.Server.Shutdown does: close idle connections, and finish the present requests."""
        with self.lock:
            self.ending = True
            for connection in self.idle:
                connection.shutdown(socket.SHUT_RDWR)
        while self.busy:
            time.sleep(0.002)


def allocate(megabytes: int) -> None:
    """Use so much more memory, for ever."""
    ALLOCATED.append(b"x" * (megabytes * 1024**2))


def environment() -> str:
    """Return the environment, one variable per line."""
    return "\n".join(f"{name}={value}" for name, value in os.environ.items())


def port_of(bound: socket.socket) -> str:
    """Return this container, and its port to which a client is connected."""
    return f"{HOSTNAME} {bound.getsockname()[1]}"


def status() -> str:
    """Return the status of every answer at present."""
    if time.monotonic() - BEGUN < float(setting("UNREADY_FOR", "0")):
        return "503"
    return setting("STATUS", "200")


def main() -> None:
    """Listen on PORTS, and on UDP_PORTS, until SIGTERM."""
    server, ended, listeners = Server(), threading.Event(), []

    def on_end(_number: int, _frame: object) -> None:
        say("SIGTERM")
        if not setting("NO_TERM"):
            ended.set()

    def on_drain(number: int, _frame: object) -> None:
        say(f"drain signal {signal.Signals(number).name}")
        server.draining = True

    signal.signal(signal.SIGTERM, on_end)
    if setting("DRAIN_SIGNAL"):
        signal.signal(getattr(signal, setting("DRAIN_SIGNAL")), on_drain)
    if setting("EXIT"):
        sys.stderr.write(f"cannot continue: exiting with {setting('EXIT')}\n")
        sys.exit(int(setting("EXIT")))
    allocate(int(setting("ALLOCATE", "0")))
    time.sleep(float(setting("READY_AFTER", "0")))
    for port in setting("PORTS", "80").split(","):
        listener = listening(int(port))
        server.since = time.monotonic()
        listeners.append(listener)
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
    for port in filter(None, setting("UDP_PORTS").split(",")):
        bound = bound_to(int(port), socket.SOCK_DGRAM)
        threading.Thread(target=server.serve_datagrams, args=(bound,), daemon=True).start()
    say(f"{HOSTNAME} listens on {setting('PORTS', '80')} as version {setting('VERSION')}")
    while not ended.wait(3600):
        pass
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    server.end()
    say("ended")


main()
