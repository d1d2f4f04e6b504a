"""The progress of builds and pulls, for people: shown on a terminal, and nowhere else."""

from __future__ import annotations

import sys

from hanoverd.images import Progress


def show_progress() -> Progress:
    """What takes the lines of builds and pulls: standard error where it is a terminal, else nothing.

    In a log they would bury the story; the lines of a build that fails are in its message anyway.
    """
    # Not sys.stderr: twistd puts its log there.
    terminal = sys.__stderr__
    if terminal is None or not terminal.isatty():
        return _ignore
    # \r: the terminal may be in a mode in which a line feed alone does not return to the margin.
    return lambda line: print(f"  {line}\r", file=terminal, flush=True)


def _ignore(line: str) -> None:
    del line
