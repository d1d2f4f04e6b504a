"""What is checked of the firewall at the start, before anything is changed, while errors still reach the terminal.

All of this blocks: it runs before the reactor does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from hanoverd.network.chains import chains_of
from hanoverd.network.firewall import RESTORE, SAVE, firewall_error
from hanoverd.network.iptables import Table, parse_table
from hanoverd.network.rules import claims, plan_nothing
from hanoverd.runtime.errors import PortTaken
from hanoverd.runtime.processes import find_program
from hanoverd.spec.ports import PublishedPort

#: How long iptables may take, in seconds; it waits up to 5 for its lock.
FIREWALL_WITHIN = 20


def check_firewall(environ: Mapping[str, str]) -> Table:
    """Return the firewall's rules; fail with ``FirewallError`` or ``ProgramMissing`` unless they may be changed."""
    table = parse_table(_run(SAVE, environ, ""))
    _run(RESTORE, environ, plan_nothing())
    return table


def check_claims(app: str, ports: Sequence[PublishedPort], table: Table) -> None:
    """Fail with ``PortTaken`` if the rules of another app route one of ``ports``."""
    own = chains_of(app).incoming
    for claim in claims(table):
        for port in ports:
            if claim.chain != own and claim.host.conflicts_with(port.host):
                raise PortTaken(
                    f"port {port.host.number} is routed by the firewall chain {claim.chain}, of a hanoverd that serves "
                    "another app, or was killed: start that one again, or choose another host port with --publish"
                )


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
