"""Options of the engine's log of a container."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import PAIR

LOGGING = (
    Option(name="log-driver", metavar="DRIVER", help="Logging driver for the container"),
    Option(
        name="log-opt",
        kind=Kind.REPEATED,
        metavar="KEY=VALUE",
        help="Log driver options",
        value=PAIR,
        # The options of some drivers are tokens.
        secret=Secret.AFTER_EQUALS,
    ),
)
