"""Reads the files that a user names."""

from __future__ import annotations

from pathlib import PurePath

#: The most that is read: no file of variables, labels or a profile is larger.
MOST_BYTES = 16 * 1024 * 1024


def read_input_file(path: PurePath) -> bytes:
    """Return the contents of a file; OSError, also for a file of more than 16 MiB."""
    with open(path, "rb") as file:  # noqa: PTH123  # a pure path
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(f"it is larger than {MOST_BYTES // 1024**2} MiB")
    return data
