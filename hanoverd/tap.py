"""``twistd hanoverd``: what twistd needs to run the daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.python.usage import Options as TwistdOptions

from hanoverd.errors import HanoverdError
from hanoverd.exits import complain, settings_or_exit

if TYPE_CHECKING:
    from twisted.application.service import IService

    from hanoverd.commandline.settings import AnySettings

START_FAILED = 1


class Options(TwistdOptions):
    """The command line of ``twistd hanoverd``, read as Docker's client reads its own.

    Twisted's reader has other rules (it abbreviates, and knows no ``--flag=false``), and twistd would report an
    error on standard output and end with exit status 0.
    """

    settings: AnySettings

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line; ends the process where it is wrong, or asks for help."""
        self.settings = settings_or_exit(sys.argv[1:] if options is None else options)


def makeService(options: Options) -> IService:
    """The daemon as a service, after its checks; a check that fails is told on standard error, with exit status 1."""
    from twisted.internet import reactor  # noqa: PLC0415  # the one place that takes the global reactor

    from hanoverd.commandline.remote import mistyped  # noqa: PLC0415
    from hanoverd.commandline.settings import BuilderSettings  # noqa: PLC0415  # late, so that --help is quick
    from hanoverd.edges.signals import hangups_before  # noqa: PLC0415
    from hanoverd.edges.steady_time import keep_steady_time  # noqa: PLC0415
    from hanoverd.wiring import assemble, run_builder_once  # noqa: PLC0415

    command = mistyped(options.settings)
    if command is not None:
        sys.stderr.write(f"hanoverd: this is taken for the name of an image; the command is `hanoverd {command}`\n")
    keep_steady_time(reactor)
    hangups_before()
    try:
        if isinstance(options.settings, BuilderSettings) and options.settings.once:
            # A service has no exit status, so this is none: it ends here.
            _log_to_terminal()
            raise SystemExit(0 if run_builder_once(options.settings, dict(os.environ), reactor) else START_FAILED)
        return assemble(options.settings, dict(os.environ), reactor, stdin=0)
    except HanoverdError as error:
        complain(error)
        raise SystemExit(START_FAILED) from None


def _log_to_terminal() -> None:
    """Log as ``twistd -n`` would, had it begun already."""
    from twisted.logger import globalLogBeginner, textFileLogObserver  # noqa: PLC0415

    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
