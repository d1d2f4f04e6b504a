"""What is shown beside the error of a failed test: logs, and what the engine ran at the moment of the failure."""

from __future__ import annotations

from collections import deque

#: A longer text is shown without its middle.
LONGEST = 100_000

_sections: deque[tuple[str, str]] = deque(maxlen=20)


def keep(title: str, text: str) -> None:
    """Keep a text until the next test."""
    if len(text) > LONGEST:
        left_out = len(text) - LONGEST
        text = f"{text[: LONGEST // 2]}\n... {left_out} characters ...\n{text[-LONGEST // 2 :]}"
    _sections.append((title, text))


def kept() -> list[tuple[str, str]]:
    """Return the title and the text of everything that is kept."""
    return list(_sections)


def forget() -> None:
    """Forget everything: a new test begins."""
    _sections.clear()
