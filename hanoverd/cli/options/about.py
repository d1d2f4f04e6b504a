"""The options of every command: help, and the version."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN

HELP = Option(name="help", letter="h", kind=Kind.BOOLEAN, value=BOOLEAN, help="Show this help and exit")
VERSION = Option(name="version", kind=Kind.BOOLEAN, value=BOOLEAN, help="Show the version of hanoverd and exit")

#: In docker run, ``-h`` is ``--hostname``; alone on the command line it is ``--help``.
DAEMON_HELP = replace(HELP, letter=None)

DRY_RUN = Option(
    name="dry-run",
    kind=Kind.BOOLEAN,
    value=BOOLEAN,
    help="Print what would be done, as JSON, and exit",
    text="""\
It needs neither the engine nor root, and starts nothing. The keys are ``create`` (the body of the request that creates
the container), ``name``, ``platform``, ``pull``, ``source``, ``firewall`` (the rules) and ``settings`` (hanoverd's own
options). What the engine would refuse is reported on standard error.""",
)
