"""The exit status of this process."""

from __future__ import annotations

import atexit
import os
import sys


def exit_with(status: int) -> None:
    """Exit with ``status`` after the reactor has stopped: twistd itself always exits with 0."""
    atexit.register(_exit, status)


def _exit(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
