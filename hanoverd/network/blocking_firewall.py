"""The host's firewall, by blocking calls: for the start of a daemon, and for commands."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from hanoverd.network.iptables import FILTER, NAT, Table, parse_table
from hanoverd.network.iptables_commands import firewall_error, restore_command, save_command
from hanoverd.network.passage import plan_passage
from hanoverd.network.rules import plan_removal
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.search_path import find_program
from hanoverd.spec.ports import Family

#: How long iptables may take, in seconds; it waits up to 5 for its lock.
FIREWALL_WITHIN = 20


def read_table(environ: Mapping[str, str], name: str = NAT, family: Family = Family.IPV4) -> Table:
    """Return one table of the firewall; fail with ``FirewallError`` or ``ProgramMissing``."""
    return parse_table(_run(save_command(family, name), environ, ""), name, family)


def commit_changes(environ: Mapping[str, str], changes: str, family: Family = Family.IPV4) -> None:
    """Make the changes of a commit, all at once; fail with ``FirewallError`` or ``ProgramMissing``."""
    _run(restore_command(family), environ, changes)


def remove_rules(environ: Mapping[str, str], app: str, family: Family) -> bool:
    """Remove all rules of an app for a family of addresses, and return whether there were any.

    Fails with ``FirewallError`` or ``ProgramMissing``; not for IPv6, which this host may not have.
    """
    try:
        plans = (
            plan_removal(app, read_table(environ, NAT, family)),
            plan_passage(app, (), read_table(environ, FILTER, family)),
        )
        for changes in filter(None, plans):
            commit_changes(environ, changes, family)
    except HanoverdError:
        if family is Family.IPV4:
            raise
        return False
    return any(plans)


def _run(argv: Sequence[str], environ: Mapping[str, str], stdin: str) -> str:
    program = find_program(argv[0], environ)
    ended = subprocess.run(
        [program, *argv[1:]],
        executable=program,
        env=dict(environ),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        # The comment of another program's rule may hold any bytes.
        errors="replace",
        timeout=FIREWALL_WITHIN,
        check=False,
    )
    if ended.returncode != 0:
        raise firewall_error(argv[0], ended.returncode, ended.stderr)
    return ended.stdout
