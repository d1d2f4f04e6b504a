"""The progress of builds and pulls on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from hanoverd.images.progress import show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_a_build_prints_does_not_control_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "__stderr__", terminal)
    show_progress()("\x1b[32mStep\x1b[0m 1\x1b[2J\x1b]0;title\a\r\v\u202e\x9b1A")
    assert terminal.getvalue() == "  Step 1\\x1b[2J\\x1b]0;title\\a\\r\\v\\u202e\\u009b1A\r\n"


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_nothing_is_shown_elsewhere(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "__stderr__", stream)
    show_progress()("Step 1")
    assert stream is None or stream.getvalue() == ""
