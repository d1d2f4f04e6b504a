"""The memory of a process, as the kernel counts it (proc_pid_status(5), proc(5))."""

from __future__ import annotations

import re
from pathlib import Path

_MEBIBYTE = 1024


def forget_peak(pid: int) -> float:
    """Have the kernel forget the peak of a process; return its present memory, in MiB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _read(pid, "VmRSS")


def peak(pid: int) -> float:
    """Return the most memory that a process has had since ``forget_peak``, in MiB."""
    return _read(pid, "VmHWM")


def _read(pid: int, name: str) -> float:
    found = re.search(rf"^{name}:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"process {pid} has no {name}"
    return int(found[1]) / _MEBIBYTE
