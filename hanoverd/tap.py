"""``twistd hanoverd``: what twistd needs to run the daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.python.usage import Options as TwistdOptions

from hanoverd.cli.process import complain, settings_or_exit
from hanoverd.runtime.errors import HanoverdError
from hanoverd.spec.settings import AnySettings, BuilderSettings, ServeSettings

if TYPE_CHECKING:
    from twisted.application.service import IService, Service

START_FAILED = 1

#: What only this process need know: git, ssh and docker do without.
_OWN_SECRETS = (
    "HOOKBOT_URL",
    "HOOKBOT_MONITOR_URL",
    "HOOKBOT_DOCKER_NOTIFY_URL",
    "HOOKBOT_KEY",
    "HOOKBOT_GITHUB_SECRET",
    "HANOVERD_SECRETS",
)


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

    from hanoverd.cli.remote import mistyped  # noqa: PLC0415
    from hanoverd.runtime.signals import hangups_before  # noqa: PLC0415
    from hanoverd.runtime.steady_time import keep_steady_time  # noqa: PLC0415

    command = mistyped(options.settings)
    if command is not None:
        sys.stderr.write(f"hanoverd: this is taken for the name of an image; the command is `hanoverd {command}`\n")
    keep_steady_time(reactor)
    hangups_before()
    try:
        if isinstance(options.settings, BuilderSettings) and options.settings.once:
            # A service has no exit status, so this is none: it ends here.
            _log_to_stdout(options.settings.log_format)
            raise SystemExit(0 if run_builder_once(options.settings, dict(os.environ), reactor) else START_FAILED)
        service = assemble(options.settings, dict(os.environ), reactor, stdin=0)
    except HanoverdError as error:
        complain(error)
        raise SystemExit(START_FAILED) from None
    twistd = options.parent
    return service if twistd is None else _logged(service, twistd, options.settings.log_format, reactor)


def _logged(service: Service, twistd: Mapping[str, Any], log_format: str, reactor: Any) -> IService:
    """Return a service that has twistd log as ``--log-format`` says, and runs ``service``."""
    from twisted.application.service import MultiService  # noqa: PLC0415
    from twisted.logger import ILogObserver  # noqa: PLC0415

    from hanoverd.logs.destination import open_log  # noqa: PLC0415

    class Logged(MultiService):
        def setServiceParent(self, parent: Any) -> None:
            """Become a part of twistd's application: it is asked for its log observer next."""
            super().setServiceParent(parent)  # type: ignore[no-untyped-call]  # Twisted's
            parent.setComponent(ILogObserver, open_log(twistd, log_format, os.environ, reactor))

    logged = Logged()  # type: ignore[no-untyped-call]  # as above
    service.setServiceParent(logged)
    return logged


def _log_to_stdout(log_format: str) -> None:
    """Log as ``twistd -n`` does: it starts to only once there is a service."""
    from twisted.logger import globalLogBeginner  # noqa: PLC0415

    from hanoverd.logs.destination import to_stream  # noqa: PLC0415

    globalLogBeginner.beginLoggingTo([to_stream(sys.stdout, log_format, os.environ)], redirectStandardIO=False)


def assemble(settings: AnySettings, environ: Mapping[str, str], reactor: Any, stdin: int) -> Service:
    """Check what can be checked at start, take hold of what must be one's own, and build the service.

    Fails with ``HanoverdError``, and then holds nothing.  Blocks for as long as the checks take.
    """
    # Late, all of them: a program loads what it needs, and not what another does.
    if isinstance(settings, ServeSettings):
        from hanoverd.hookbot.wiring import assemble_server  # noqa: PLC0415

        return assemble_server(settings, reactor)
    if isinstance(settings, BuilderSettings):
        from hanoverd.builder.wiring import assemble_builder  # noqa: PLC0415

        return assemble_builder(settings, _for_children(environ), reactor)
    from hanoverd.daemon import assemble_daemon  # noqa: PLC0415

    return assemble_daemon(settings, _for_children(environ), reactor, stdin)


def run_builder_once(settings: BuilderSettings, environ: Mapping[str, str], reactor: Any) -> bool:
    """Run the reactor for one build; whether all of it worked.  Fails with ``HanoverdError`` where it cannot begin."""
    from hanoverd.builder.wiring import run_once  # noqa: PLC0415  # as above

    return run_once(settings, _for_children(environ), reactor)


def _for_children(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _OWN_SECRETS}
