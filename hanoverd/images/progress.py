"""The progress of builds and pulls, shown on a terminal only."""

from __future__ import annotations

import sys

from hanoverd.images import Progress
from hanoverd.text.escapes import escaped_output


def show_progress() -> Progress:
    """Return a function that prints the lines of builds and pulls to standard error, if it is a terminal.

    A log has no room for them; the error message of a failed build has its last lines.
    """
    # Not sys.stderr: twistd redirects it to its log.
    terminal = sys.__stderr__
    if terminal is None or not terminal.isatty():
        return _ignore
    # What a Dockerfile prints must not control the terminal.  \r: in some modes of a terminal, a line feed does not return to the first column.
    return lambda line: print(f"  {escaped_output(line, colour=False)}\r", file=terminal, flush=True)


def _ignore(line: str) -> None:
    del line
