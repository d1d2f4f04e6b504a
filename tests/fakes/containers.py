"""The containers of the fake engine: each a small HTTP server on a loopback address of its own."""

from __future__ import annotations

import itertools
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

#: Each process has loopback addresses of its own (127.0.0.0/8), so that test runs do not disturb each other.
_PROCESS = 1 + os.getpid() % 250
_addresses = itertools.count(2)


class FakeContainer:
    """A container as the engine keeps it.  It behaves as its environment says, in the words of tests/lab/server.py."""

    def __init__(self, name: str, body: Mapping[str, Any], image_env: Mapping[str, str], ports: Sequence[int]) -> None:
        self.name = name
        self.id = secrets.token_hex(32)
        self.body = body
        self.created = int(time.time())
        self.more_addresses: dict[str, str] = {}
        given = {name: value if assigned else None for name, assigned, value in _split(body.get("Env") or [])}
        self.env = {name: value for name, value in {**image_env, **given}.items() if value is not None}
        self.ports = ports
        self.ended = threading.Event()
        self.ended.set()
        self.was_started = False
        self.exit_code = 0
        self.address = ""
        self.loopback_ports: dict[int, int] = {}
        self.output: list[bytes] = []
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return not self.ended.is_set()

    @property
    def is_on_host(self) -> bool:
        """Whether it uses the host's network."""
        return bool((self.body.get("HostConfig") or {}).get("NetworkMode") == "host")

    def start(self) -> None:
        """Listen on all its ports, or exit at once where its environment says so."""
        self.was_started = True
        self.exit_code = 0
        self.ended.clear()
        number = next(_addresses)
        self.address = f"127.{_PROCESS}.{number // 250 % 250}.{number % 250 + 1}"
        if self.is_on_host:
            self.address = "127.0.0.1"
        if "EXIT" in self.env:
            self.output.append(f"cannot continue: exiting with {self.env['EXIT']}\n".encode())
            self.end(int(self.env["EXIT"]))
            return
        self._listeners = [socket.create_server((self.address, port)) for port in self.ports]
        self._threads = [threading.Thread(target=self._serve, args=(one,)) for one in self._listeners]
        for thread in self._threads:
            thread.start()
        self.loopback_ports = {} if self.is_on_host else {port: 40000 + port % 10000 for port in self.ports}
        self.output.append(f"{self.name} listens\n".encode())

    def end(self, code: int) -> None:
        """It has ended with this exit code."""
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join()
        self._listeners, self._threads = [], []
        self.exit_code = code
        self.ended.set()

    def inspect(self) -> dict[str, Any]:
        """As ``GET /containers/{id}/json``."""
        return {
            "Id": self.id,
            "Created": datetime.fromtimestamp(self.created, UTC).isoformat(),
            "Name": f"/{self.name}",
            "Image": self.body["Image"],
            "Config": {
                "Labels": self.body.get("Labels"),
                "Tty": False,
                "Env": [f"{name}={value}" for name, value in self.env.items()],
                "Healthcheck": {"Test": ["CMD", "check"]} if "HEALTH" in self.env else None,
                **{key: self.body.get(key) for key in ("Cmd", "Volumes", "StopSignal", "StopTimeout")},
                "ExposedPorts": {f"{port}/tcp": {} for port in self.ports},
            },
            "HostConfig": self.body.get("HostConfig", {}),
            "State": {
                "Running": self.is_running,
                "ExitCode": self.exit_code,
                "OOMKilled": "OOM" in self.env,
                "Error": "",
                **self._health(),
            },
            "NetworkSettings": {"Networks": self.networks(), "Ports": self._bindings()},
        }

    def _health(self) -> dict[str, Any]:
        # HEALTH is the state of its health check.
        return (
            {"Health": {"Status": self.env["HEALTH"], "Log": [{"Output": "checked"}]}} if "HEALTH" in self.env else {}
        )

    def networks(self) -> dict[str, Any]:
        """Return the address in the engine's answer."""
        if self.is_on_host:
            return {"host": {"IPAddress": ""}}
        addresses = {**self.more_addresses, "bridge": self.address}
        return {name: {"IPAddress": address if self.is_running else ""} for name, address in addresses.items()}

    def _bindings(self) -> dict[str, Any]:
        if not self.is_running:
            return {}
        return {
            f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(on)}] for port, on in self.loopback_ports.items()
        }

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    connection.recv(65536)
                    status = self.env.get("STATUS", "200")
                    text = f"{self.name} {time.time()}\n"
                    connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
                except OSError:
                    pass


def _split(entries: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    return [entry.partition("=") for entry in entries]
