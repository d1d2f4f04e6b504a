"""hookbot: the time from a message to its handover, of a reconnection, and until a thousand listeners have a message.

usage: python -m benchmarks.hookbot       (from the project's root; loopback only)

Prints

* the time from the beginning of a POST to the trigger of the handover (median of 200 messages),
* the time from a server's restart, after it was killed, to the listener's new connection (median of 5),
* 1,000 listeners x 100 messages: the time until all have all, and the server's resident memory.
"""

from __future__ import annotations

import base64
import http.client
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from hanoverd.hookbot import listener
from hanoverd.hookbot.endpoints import load_trust
from hanoverd.hookbot.tokens import make_token
from hanoverd.hookbot.trigger import HookbotTrigger
from hanoverd.hookbot.websocket import listen
from hanoverd.spec.hookbot import HookbotURL, Subscription

REACTOR: Any = reactor
KEY = "the benchmark's"
PORT = 8191
MESSAGES, RESTARTS = 200, 5
LISTENERS, EACH = 1000, 100
TOPIC = "hanoverd/cwd"


class Server:
    """hookbot, in a process of its own."""

    def __init__(self) -> None:
        program = str(Path(sys.executable).with_name("hanoverd"))
        self._process = subprocess.Popen(
            [program, "hookbot", "serve", f"--bind=127.0.0.1:{PORT}"],
            env={**os.environ, "HOOKBOT_KEY": KEY},
            stdout=subprocess.DEVNULL,
        )
        while True:
            try:
                socket.create_connection(("127.0.0.1", PORT), 5).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.005)

    @property
    def resident_megabytes(self) -> float:
        """Return the resident memory."""
        [line] = [
            line
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        ]
        return int(line.split()[1]) / 1024

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server."""
        self._process.send_signal(number)
        self._process.wait()


def publish(connection: http.client.HTTPConnection, body: bytes) -> None:
    """POST one message."""
    path = f"/pub/{TOPIC}"
    allowed = base64.b64encode(f"{make_token(KEY, path)}:".encode()).decode()
    connection.request("POST", path, body, {"Authorization": f"Basic {allowed}"})
    connection.getresponse().read()


class NoSource:
    """A source of which nothing can be missed."""

    def describe(self) -> str:
        """For the log."""
        return "nothing"

    def check(self) -> None:
        """All is well."""

    async def obtain(self, progress: object, revision: str | None = None) -> Any:
        """It is never asked."""
        raise NotImplementedError

    async def newest(self) -> str | None:
        """Unknown."""
        return None


def messages_and_restarts() -> tuple[list[float], list[float]]:
    """Milliseconds from a message to the trigger, and seconds from a restart to the connection."""
    begun: list[float] = []
    opened = threading.Event()
    worked = threading.Event()

    class TriggerTarget:
        """Notes when a handover would begin."""

        def trigger(self, _reason: str, revision: str | None = None) -> None:
            """Note the arrival of a message."""
            del revision
            begun.append(time.monotonic())
            worked.set()

        def newest_found(self, newest: str) -> None:
            """Not what is measured."""

    # Otherwise a listener waits longer after a connection that was short, and takes one message a second after a burst.
    listener.STABLE = listener.INTERVAL = 0.0
    path = f"/sub/{TOPIC}"
    url = HookbotURL("ws", "127.0.0.1", PORT, path, token=make_token(KEY, path))
    connect = partial(listen, REACTOR, url, load_trust(None))

    async def telling(on_open: Callable[[], object], *others: Any) -> str:
        def connected() -> None:
            on_open()
            opened.set()

        return await connect(connected, *others)

    hookbot = HookbotTrigger(REACTOR, Subscription.of(url), telling, NoSource(), TriggerTarget())
    latencies: list[float] = []
    restarts: list[float] = []

    def story() -> None:
        server = Server()
        opened.wait(30)
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        for _ in range(MESSAGES):
            worked.clear()
            sent = time.monotonic()
            publish(connection, b"")
            worked.wait(10)
            latencies.append((begun[-1] - sent) * 1000)
            time.sleep(0.005)
        connection.close()
        for _ in range(RESTARTS):
            opened.clear()
            server.end(signal.SIGKILL)
            time.sleep(0.2)
            server = Server()
            up = time.monotonic()
            opened.wait(60)
            restarts.append(time.monotonic() - up)
        server.end()
        REACTOR.callFromThread(REACTOR.stop)

    hookbot.start()
    REACTOR.callInThread(story)
    REACTOR.run()
    return latencies, restarts


def thousand_listeners() -> tuple[float, int, float, float, float]:
    """Seconds until all have all; how many messages arrived; the server's megabytes before, with listeners, and after."""
    server = Server()
    before = server.resident_megabytes
    path = f"/sub/{TOPIC}"
    allowed = base64.b64encode(f"{make_token(KEY, path)}:".encode()).decode()
    request = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nAuthorization: Basic {allowed}\r\n\r\n"
    ).encode()
    listeners = []
    for _ in range(LISTENERS):
        listener = socket.create_connection(("127.0.0.1", PORT), 20)
        listener.sendall(request)
        assert b" 101 " in listener.recv(1000)
        listener.settimeout(0)
        listeners.append(listener)
    connected = server.resident_megabytes
    body = b"x" * 200
    frame = len(body) + 4
    received = 0

    def publishing() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        for _ in range(EACH):
            publish(connection, body)
        connection.close()

    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ)
        begun = time.monotonic()
        thread = threading.Thread(target=publishing)
        thread.start()
        deadline = begun + 120
        while received < LISTENERS * EACH * frame and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                received += len(key.fileobj.recv(1 << 16))  # type: ignore[union-attr]  # all are sockets
        seconds = time.monotonic() - begun
        thread.join()
    after = server.resident_megabytes
    for listener in listeners:
        listener.close()
    server.end()
    return seconds, received // frame, before, connected, after


def main() -> None:
    """Measure, and print."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    seconds, arrived, before, connected, after = thousand_listeners()
    latencies, restarts = messages_and_restarts()
    print(
        f"from a message to the trigger: median {statistics.median(latencies):.2f} ms, "
        f"the slowest of {MESSAGES} {max(latencies):.2f} ms"
    )
    print(f"from a server's restart to the new connection: median {statistics.median(restarts):.2f} s of {RESTARTS}")
    print(
        f"{LISTENERS} listeners x {EACH} messages: {arrived} of {LISTENERS * EACH} arrived in {seconds:.2f} s "
        f"({arrived / seconds:,.0f} a second); the server's memory: {before:.0f} MB at first, {connected:.0f} with all "
        f"listeners, {after:.0f} after"
    )


if __name__ == "__main__":
    main()
