"""What is checked of the firewall at the start, before anything is changed, while errors still reach the terminal.

All of this blocks: it runs before the reactor does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.logger import Logger

from hanoverd.network.blocking_firewall import commit_changes, read_table
from hanoverd.network.bridge import PROC, forwards_packets
from hanoverd.network.chains import chains_of
from hanoverd.network.forwarding import find_obstacles
from hanoverd.network.iptables import Table, parse_table
from hanoverd.network.rules import claims, plan_nothing
from hanoverd.runtime.errors import FirewallError, PortTaken
from hanoverd.spec.engine_setup import EngineSetup
from hanoverd.spec.ports import PublishedPort

log = Logger()


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


def report_obstacles(
    app: str, ports: Sequence[PublishedPort], engine: EngineSetup, environ: Mapping[str, str], proc: Path = PROC
) -> None:
    """Log what keeps clients on other machines from ``ports``, each with what to do: clients on this host are served."""
    if all(port.host.address.is_loopback for port in ports):
        # Nothing is forwarded.
        return
    try:
        table = read_table(environ, "filter")
    except FirewallError:
        # The rules that hanoverd needs are in another table: this one is only looked at for advice.
        table = parse_table("", "filter")
    for obstacle in find_obstacles(engine, table, forwards=forwards_packets(proc) is not False):
        log.warn(
            "{app}: clients on other machines and in containers cannot connect: {reason}",
            event="clients_blocked",
            app=app,
            reason=obstacle,
        )
