"""The progress of builds and pulls, for people: shown on a terminal, and nowhere else."""

from __future__ import annotations

import sys

from hanoverd.sources import Progress


def show_progress() -> Progress:
    """What takes the lines of builds and pulls: standard error where it is a terminal, else nothing.

    In a log they would bury the story; the lines of a build that fails are in its message anyway.
    """
    if not sys.stderr.isatty():
        return _ignore
    return _print


def _ignore(line: str) -> None:
    del line


def _print(line: str) -> None:
    # \r: the terminal may be in a mode in which a line feed alone does not return to the margin.
    sys.stderr.write(f"  {line}\r\n")
    sys.stderr.flush()
