"""The commands that read and change the firewall's rules, and their errors."""

from __future__ import annotations

import re

from hanoverd.network.iptables import NAT
from hanoverd.runtime.errors import FirewallError
from hanoverd.spec.ports import Family

_PROGRAM = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def save_command(family: Family, table: str = NAT) -> tuple[str, ...]:
    """Return the command that prints a table."""
    return (f"{_PROGRAM[family]}-save", "-t", table)


def restore_command(family: Family) -> tuple[str, ...]:
    """Return the command that makes the changes that it reads."""
    return (
        f"{_PROGRAM[family]}-restore",
        # Leave all other rules of the table as they are.
        "--noflush",
        # The legacy variant takes a lock of the whole system, which another program may hold for a moment (seconds).
        "--wait",
        "5",
    )


def firewall_error(program: str, code: int, stderr: str) -> FirewallError:
    """Return the error for a firewall program that failed with exit status ``code``."""
    reason = re.sub(r"\s+", " ", stderr).strip() or f"exit status {code}"
    base = program.partition("-")[0]
    return FirewallError(
        f"{program} failed: {reason}. hanoverd must be allowed to change the firewall: run it as root, or put copies "
        f"of {base}-restore and {base}-save with the capabilities cap_net_admin,cap_net_raw=+ep (setcap) first on PATH"
    )
