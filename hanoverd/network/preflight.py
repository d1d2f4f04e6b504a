"""What can be found wrong before anything is touched: looked for at start, while there is still a terminal to tell.

All of this blocks: it runs before the reactor does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.blocking_engine import BlockingEngine, usable_api_version
from hanoverd.network.firewall import RESTORE, SAVE, refusal
from hanoverd.network.rules import chains_of, claims, nothing, published_ports
from hanoverd.runtime.errors import PortTaken
from hanoverd.runtime.processes import find_program
from hanoverd.spec.ports import PublishedPort

#: How long iptables may take, in seconds; it waits up to 5 for its lock.
FIREWALL_WITHIN = 20


def check_engine(address: EngineAddress) -> None:
    """Fail with the ``EngineError`` family unless an engine that we can talk with answers."""
    usable_api_version(BlockingEngine(address, "1.24", Abort()).version())


def check_firewall(environ: Mapping[str, str], app: str, ports: Sequence[PublishedPort]) -> None:
    """Fail with ``FirewallError`` or ``ProgramMissing`` unless the firewall may be changed, and with ``PortTaken`` if
    the rules of another app lead one of ``ports`` elsewhere.
    """
    saved = _run(SAVE, environ, "")
    _run(RESTORE, environ, nothing())
    own = chains_of(app).incoming
    for claim in claims(saved):
        for port in ports:
            if claim.chain != own and claim.host.conflicts_with(port.host):
                raise PortTaken(
                    f"port {port.host.number} is led elsewhere by the firewall chain {claim.chain}, of a hanoverd that "
                    "serves another app, or was killed: start that one again, or choose another host port with "
                    "--publish"
                )


def ports_in_use(environ: Mapping[str, str], app: str) -> list[PublishedPort]:
    """Return the ports that the rules of an earlier run of ``app`` publish; empty without rules.

    Fails with ``FirewallError`` or ``ProgramMissing``.
    """
    return published_ports(app, _run(SAVE, environ, ""))


def _run(argv: Sequence[str], environ: Mapping[str, str], stdin: str) -> str:
    program = find_program(argv[0], environ)
    ended = subprocess.run(
        [program, *argv[1:]],
        executable=program,
        env=dict(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=FIREWALL_WITHIN,
        check=False,
    )
    if ended.returncode != 0:
        raise refusal(argv[0], ended.returncode, ended.stderr)
    return ended.stdout
