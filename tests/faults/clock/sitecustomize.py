"""Set the time of day that a Python program sees: later by the number of seconds in the file CLOCK_FILE.

Loaded by the interpreter itself at its start, from PYTHONPATH (the module ``site`` of the standard library).
"""

from __future__ import annotations

import os
import time

_real = time.time
_file = os.environ["CLOCK_FILE"]
_shift = 0.0


def _shifted() -> float:
    global _shift  # noqa: PLW0603  # the clock is one for the process
    try:
        with open(_file) as file:
            _shift = float(file.read() or 0)
    except (OSError, ValueError):
        pass  # As it was: the process may have no descriptor left, or the file is being written.
    return _real() + _shift


time.time = _shifted
