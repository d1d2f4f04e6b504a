"""Starts other programs without the capabilities of this process (capabilities(7)).

hanoverd needs capabilities for its own work: to bind ports below 1024, and to change the firewall. Git, ssh, hooks and
builds handle what strangers wrote, and must not have them. A root process gets all capabilities of its bounding set
each time that it executes a program: only setpriv(1) in between takes them away.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from functools import cache
from pathlib import Path


class Keep(Enum):
    """The capabilities that a program keeps."""

    NOTHING = "none"
    #: To read the files of all users, as a build context may be one that only its owner can read.
    READING = "CAP_DAC_READ_SEARCH"
    EVERYTHING = "all"


def setpriv_command(keep: Keep, status: str, uid: int) -> list[str]:
    """Return the command that starts a program with the capabilities ``keep`` only, empty if there are none to remove.

    ``status`` is /proc/self/status, and ``uid`` the effective user. A root process without CAP_SETPCAP cannot remove
    capabilities: the programs then have the capabilities of its bounding set.
    """
    if keep is Keep.EVERYTHING or not _has_capabilities(status):
        return []
    command = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all"]
    if uid == 0:
        # With no_new_privs, the kernel ignores capabilities of files; without, it refuses to execute such a file when
        # they are not in the bounding set.
        bounding = "-all,+dac_read_search" if keep is Keep.READING else "-all"
        command += ["--no-new-privs", f"--bounding-set={bounding}"]
    return [*command, "--"]


@cache
def own_setpriv_command(keep: Keep) -> list[str]:
    """Return the same for this process."""
    return setpriv_command(keep, Path("/proc/self/status").read_text(), os.geteuid())


def _has_capabilities(status: str) -> bool:
    sets = re.findall(r"^Cap(?:Inh|Prm|Amb):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(found, 16) for found in sets)
