"""Clients that run during a test, on either host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Runs a command where a client is.
Prefix = Callable[[list[str]], list[str]]

_LOAD = str(Path(__file__).with_name("load.py"))


class Clients:
    """A run of load.py on the host of ``prefixed``."""

    def __init__(self, prefixed: Callable[[list[str]], list[str]], *arguments: str) -> None:
        self._process = subprocess.Popen(
            prefixed([sys.executable, _LOAD, *arguments]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def finish(self, timeout: float = 60) -> dict[str, Any]:
        """Stop the clients after their current requests; return their counts."""
        out, _ = self._process.communicate(timeout=timeout)
        counted: dict[str, Any] = json.loads(out)
        return counted


_ASKER = str(Path(__file__).with_name("asker.py"))

#: How long it waits for an answer, in seconds.
ANSWERS_WITHIN = 1.0


class Asker:
    """A run of asker.py on the host of ``prefixed``; it has asked once when this returns."""

    def __init__(
        self, prefixed: Prefix, *arguments: str, within: float = ANSWERS_WITHIN, interval: float = 0.05
    ) -> None:
        self._process = subprocess.Popen(
            prefixed([sys.executable, _ASKER, str(within), str(interval), *arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def finish(self) -> list[tuple[float, str]]:
        """Stop asking; return each answer with its time on the monotonic clock."""
        out, _ = self._process.communicate("stop", timeout=60)
        return [(seconds, answer) for seconds, answer in json.loads(out)]
