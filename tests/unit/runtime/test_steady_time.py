"""Timers when the clock is set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLOCK = Path(__file__).parents[2] / "faults" / "clock"

PROGRAM = """
import sys
from twisted.internet import reactor
from hanoverd.runtime.steady_time import keep_steady_time
if sys.argv[1] == "steady":
    keep_steady_time(reactor)
reactor.callLater(0.3, reactor.stop)
reactor.callLater(0.1, open(sys.argv[2], "w").write, "-3600")
reactor.callWhenRunning(print, "running", flush=True)
reactor.run()
"""


@pytest.mark.parametrize("way", ["steady", "as Twisted does"])
def test_a_timer_does_not_wait_for_a_clock_that_was_set_back(way: str, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    env = {**os.environ, "PYTHONPATH": str(CLOCK), "CLOCK_FILE": str(clock)}
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, way, str(clock)], env=env, stdout=subprocess.PIPE)
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"running\n"
        try:
            program.wait(20 if way == "steady" else 1.5)
        except subprocess.TimeoutExpired:
            program.kill()
            # The reason for all this; should it ever end in time, Twisted has learnt it.
            assert way != "steady"
        else:
            assert way == "steady"
