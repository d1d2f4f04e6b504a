"""Which engine and which iptables the tests use: those that PATH finds first."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.engines import CACHE, folder_of

#: The kinds of iptables; Debian has both, and selects one by update-alternatives(1).
KINDS = ("nft", "legacy")

_APPLETS = [f"{family}{suffix}" for family in ("iptables", "ip6tables") for suffix in ("", "-save", "-restore")]


def use_engine(version: str) -> None:
    """Use the engine of this version from now on, for example 28; raises ``NoEngine``."""
    _put_first(folder_of(version))


def use_iptables(kind: str) -> None:
    """Use this kind of iptables from now on, without a change of this machine's own choice."""
    program = shutil.which(f"xtables-{kind}-multi")
    if program is None:
        raise FileNotFoundError(f"this machine has no xtables-{kind}-multi: install iptables")
    folder = CACHE / f"iptables-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in _APPLETS:
        # The program takes its role from the name by which it is called.
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(program)
    _put_first(folder)


def versions_in_use() -> str:
    """Return the versions of the engine and of iptables, as they print them."""
    return "; ".join(_printed(program) for program in ("dockerd", "iptables"))


def _put_first(folder: Path) -> None:
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def _printed(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
