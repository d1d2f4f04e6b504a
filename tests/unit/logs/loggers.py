"""A logger that a user of twistd could have."""

from __future__ import annotations

import sys

from twisted.logger import FileLogObserver, eventAsText


def shouting() -> FileLogObserver:
    return FileLogObserver(sys.stdout, lambda event: f"{eventAsText(event).upper()}\n")
