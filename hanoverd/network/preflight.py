"""What is checked of the firewall at the start, before anything is changed, while errors still reach the terminal.

All of this blocks: it runs before the reactor does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hanoverd.network.blocking_firewall import commit_changes, read_table
from hanoverd.network.chains import chains_of
from hanoverd.network.iptables import Table
from hanoverd.network.rules import claims, plan_nothing
from hanoverd.runtime.errors import PortTaken
from hanoverd.spec.ports import PublishedPort


def check_firewall(environ: Mapping[str, str]) -> Table:
    """Return the firewall's rules; fail with ``FirewallError`` or ``ProgramMissing`` unless they may be changed."""
    table = read_table(environ)
    commit_changes(environ, plan_nothing())
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
