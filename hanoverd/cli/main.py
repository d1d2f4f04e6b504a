"""The command ``hanoverd``: the same as ``twistd -n --pidfile= hanoverd``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hanoverd.cli.process import settings_or_exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the daemon in the foreground until it is told to stop."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    settings_or_exit(given)

    # Late: help, and a command line that is wrong, are answered without loading Twisted.
    from twisted.scripts.twistd import run  # noqa: PLC0415

    # No pid file: it would keep a second app from being served from the same folder.
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "hanoverd", *given]
    run()


if __name__ == "__main__":
    main()
