"""Signals by name or number."""

from __future__ import annotations

import pytest

from hanoverd.text.signals import parse_signal


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("HUP", "SIGHUP"),
        ("SIGUSR2", "SIGUSR2"),
        ("sigwinch", "SIGWINCH"),
        ("9", "SIGKILL"),
        ("iot", "SIGABRT"),
        ("RTMIN+5", "SIGRTMIN+5"),
        ("sigrtmax-14", "SIGRTMAX-14"),
        ("34", "SIGRTMIN"),
        ("39", "SIGRTMIN+5"),
        ("50", "SIGRTMAX-14"),
        ("64", "SIGRTMAX"),
    ],
)
def test_a_signal_has_one_name(text: str, name: str) -> None:
    assert parse_signal(text) == name


@pytest.mark.parametrize("text", ["", "0", "-1", "65", "32", "TERMINATE", "SIG", "RTMIN+16", "RTMAX-15", "SIG_DFL"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid signal: "):
        parse_signal(text)
