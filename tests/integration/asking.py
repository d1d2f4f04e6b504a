"""Requests to the app under test, from the lab's two hosts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ask(prefixed: Callable[[list[str]], list[str]], url: str, seconds: float = 5) -> str:
    """Return the body of ``url``, fetched by curl on the host of ``prefixed``; fails with ``ConnectionError``."""
    done = subprocess.run(
        prefixed(["curl", "--silent", "--show-error", "--fail", "--max-time", str(seconds), url]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ConnectionError(f"{url}: curl exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def hostname(prefixed: Callable[[list[str]], list[str]], url: str) -> str:
    """Return the version that answers ``url``."""
    return ask(prefixed, url).split()[0]


def refused(prefixed: Callable[[list[str]], list[str]], url: str) -> bool:
    """Whether no connection to ``url`` is accepted."""
    try:
        ask(prefixed, url, 2)
    except ConnectionError as error:
        return "exit status 7" in str(error) or "exit status 28" in str(error)
    return False


def eventually(holds: Callable[[], T], seconds: float = 15) -> T:
    """Return the value of ``holds`` as soon as it is true; fails with its last value after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        result = holds()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s; the last value was {result!r}"
        time.sleep(0.05)


def environment(lines: str) -> dict[str, str]:
    """Return the environment that the app prints, one variable per line."""
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)


def names(containers: Sequence[dict[str, object]]) -> list[str]:
    """Return the names of containers in the engine's list."""
    return sorted(str(container["Names"][0]).lstrip("/") for container in containers)  # type: ignore[index]
