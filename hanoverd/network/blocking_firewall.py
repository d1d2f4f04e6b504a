"""The host's firewall, by blocking calls: for the start of a daemon, and for commands."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from hanoverd.network.firewall import RESTORE, SAVE, firewall_error
from hanoverd.network.iptables import NAT, Table, parse_table
from hanoverd.runtime.search_path import find_program

#: How long iptables may take, in seconds; it waits up to 5 for its lock.
FIREWALL_WITHIN = 20


def read_table(environ: Mapping[str, str], name: str = NAT) -> Table:
    """Return one table of the firewall; fail with ``FirewallError`` or ``ProgramMissing``."""
    return parse_table(_run([*SAVE[:-1], name], environ, ""), name)


def commit_changes(environ: Mapping[str, str], changes: str) -> None:
    """Make the changes of a commit, all at once; fail with ``FirewallError`` or ``ProgramMissing``."""
    _run(RESTORE, environ, changes)


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
