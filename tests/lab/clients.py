"""Clients that run during a test, on either host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Runs a command where a client is.
Prefix = Callable[[list[str]], list[str]]

_LOAD = str(Path(__file__).with_name("load.py"))


class Clients:
    """A run of load.py on the host of ``prefixed``; each worker has sent a request when this returns."""

    def __init__(self, prefixed: Callable[[list[str]], list[str]], *arguments: str) -> None:
        self._process = subprocess.Popen(
            prefixed([sys.executable, _LOAD, *arguments]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        # Byte by byte: ``communicate`` does not see what a buffer holds.
        while os.read(self._process.stdout.fileno(), 1) not in (b"\n", b""):
            pass

    def finish(self, timeout: float = 60) -> dict[str, Any]:
        """Stop the clients after their current requests; return their counts."""
        out, _ = self._process.communicate(timeout=timeout)
        counted: dict[str, Any] = json.loads(out)
        return counted


_ASKER = str(Path(__file__).with_name("asker.py"))

#: How long it waits for an answer to a datagram, which may be lost, and over TCP, in seconds.
ANSWERS_WITHIN, ANSWERS_OVER_TCP_WITHIN = 1.0, 30.0


class Asker:
    """A run of asker.py on the host of ``prefixed``; it has asked once when this returns."""

    def __init__(self, prefixed: Prefix, protocol: str, *arguments: str, interval: float = 0.05) -> None:
        within = {"tcp": ANSWERS_OVER_TCP_WITHIN, "udp": ANSWERS_WITHIN}[protocol]
        #: The source port of each question, when it has finished.
        self.source_ports: list[int] = []
        self._process = subprocess.Popen(
            prefixed([sys.executable, _ASKER, str(within), str(interval), protocol, *arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def finish(self, last: str = "") -> list[tuple[float, str]]:
        """Stop asking, with ``last`` after that answer; return each answer with its time on the monotonic clock."""
        out, _ = self._process.communicate(last, timeout=60)
        found = json.loads(out)
        self.source_ports = [port for _, _, port in found]
        return [(seconds, answer) for seconds, answer, _ in found]
