"""The command ``hanoverd``: the same as ``twistd --nodaemon --pidfile= hanoverd``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hanoverd.cli.process import spec_or_exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the daemon in the foreground until it is stopped, or another command."""
    spec = spec_or_exit(list(sys.argv[1:] if arguments is None else arguments))

    # Late: help, commands for a running daemon, and wrong command lines work without loading Twisted.
    from twisted.application.service import ServiceMaker  # noqa: PLC0415
    from twisted.scripts.twistd import ServerOptions, runApp  # type: ignore[attr-defined]  # noqa: PLC0415

    plugin = ServiceMaker("hanoverd", "hanoverd.tap", "", "hanoverd")
    options = plugin.options()
    options.spec = spec
    options.parent = twistd = ServerOptions()
    # No pid file: it would allow only one app for each folder.
    twistd.parseOptions(["--nodaemon", "--no_save", "--pidfile="])
    # As if twistd had read the rest of the command line itself: it is read only once.
    twistd.subCommand, twistd.subOptions, twistd.loadedPlugins = "hanoverd", options, {"hanoverd": plugin}
    runApp(twistd)


if __name__ == "__main__":
    main()
