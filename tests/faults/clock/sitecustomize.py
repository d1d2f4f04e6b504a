"""Has a Python program see another time of day than there is: later by as many seconds as the file CLOCK_FILE says.

Loaded by the interpreter itself at its start, from PYTHONPATH (the module ``site`` of the standard library).
"""

from __future__ import annotations

import os
import time

_real = time.time
_file = os.environ["CLOCK_FILE"]


def _shifted() -> float:
    try:
        with open(_file) as file:
            return _real() + float(file.read() or 0)
    except ValueError:
        return _real()


time.time = _shifted
