"""Requests to the app under test, from the lab's two hosts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


#: How long to wait for an answer, and for what must happen in the end, in seconds.  The machine may be busy: where a time
#: matters, a test measures it.
WITHIN = 60


def ask(prefixed: Callable[[list[str]], list[str]], url: str, seconds: float = WITHIN) -> str:
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


def eventually(holds: Callable[[], T], seconds: float = WITHIN) -> T:
    """Return the value of ``holds`` as soon as it is true; fails with its last value after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        # Before the question: a busy machine may let much time pass after it.
        is_over = time.monotonic() > deadline
        result = holds()
        if result:
            return result
        assert not is_over, f"not within {seconds} s; the last value was {result!r}"
        time.sleep(0.05)


def eventually_equal(read: Callable[[], T], expected: T, seconds: float = WITHIN) -> None:
    """Wait until ``read`` returns ``expected``; fails with the last value, and the changes before it, after ``seconds``."""
    begun, changes = time.monotonic(), list[tuple[float, T]]()
    while True:
        passed = time.monotonic() - begun
        value = read()
        if not changes or changes[-1][1] != value:
            changes.append((round(passed, 1), value))
        if value == expected:
            return
        assert passed < seconds, (
            f"not {expected!r} within {seconds} s, but {value!r}; the last changes: {changes[-10:]}"
        )
        time.sleep(0.05)


def environment(lines: str) -> dict[str, str]:
    """Return the environment that the app prints, one variable per line."""
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)


def names(containers: Sequence[dict[str, object]]) -> list[str]:
    """Return the names of containers in the engine's list."""
    return sorted(str(container["Names"][0]).lstrip("/") for container in containers)  # type: ignore[index]
