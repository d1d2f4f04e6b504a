"""Signals that are held back until a piece of work is over."""

from __future__ import annotations

import os
import signal

import pytest

from hanoverd.runtime.signals import signals_held


@pytest.mark.parametrize("raises", [False, True])
def test_a_signal_takes_effect_at_the_end(raises: bool) -> None:
    events = []
    previous = signal.signal(signal.SIGTERM, lambda *_: events.append("signal"))
    try:
        with signals_held():
            os.kill(os.getpid(), signal.SIGTERM)
            events.append("work")
            if raises:
                raise ValueError
    except ValueError:
        events.append("error")
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert events == ["work", "signal", *(["error"] if raises else [])]


def test_a_second_signal_takes_effect_at_once() -> None:
    events = []
    previous = signal.signal(signal.SIGTERM, lambda *_: events.append("signal"))
    try:
        with signals_held():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            events.append("work")
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert events == ["signal", "work", "signal"]
