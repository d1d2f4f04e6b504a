"""``twistd hanoverd``: what twistd needs to run hanoverd."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.python.usage import Options as TwistdOptions

from hanoverd.cli.app import NOTIFY_SECRET
from hanoverd.cli.parse import ServiceSpec
from hanoverd.cli.process import TROUBLE, USAGE_FAILED, complain, spec_or_exit
from hanoverd.runtime.errors import HanoverdError, RequestRefused
from hanoverd.runtime.state_folder import state_folder, token_file_of
from hanoverd.runtime.tls import forgo_tls
from hanoverd.spec.app import AppSpec
from hanoverd.spec.programs import BuilderSpec, DiffSpec, HookbotServerSpec
from hanoverd.spec.web import WebSpec

if TYPE_CHECKING:
    from twisted.application.service import IService, Service

    from hanoverd.daemon import DaemonReactor

START_FAILED = 1

#: Only this process needs these: git, ssh and docker do not get them.
_OWN_SECRETS = (
    "HOOKBOT_URL",
    "HOOKBOT_MONITOR_URL",
    "HOOKBOT_DOCKER_NOTIFY_URL",
    "HOOKBOT_KEY",
    "HOOKBOT_GITHUB_SECRET",
    NOTIFY_SECRET,
)


class Options(TwistdOptions):
    """The command line of ``twistd hanoverd``, read as Docker's client reads its own.

    Twisted's parser has other rules (it takes abbreviations, and no ``--flag=false``), and twistd reports errors on
    standard output with exit status 0.
    """

    spec: ServiceSpec

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line; exit if it is wrong, or asks only for information."""
        self.spec = spec_or_exit(sys.argv[1:] if options is None else options)


def makeService(options: Options) -> IService:
    """Return the service, after its checks; exit with status 1 or 125, and a message, if a check fails."""
    if isinstance(options.spec, WebSpec) or (isinstance(options.spec, AppSpec) and not options.spec.needs_tls):
        # Before the reactor is imported.
        forgo_tls()
    from twisted.internet import reactor  # noqa: PLC0415  # the one place that imports the global reactor

    from hanoverd.runtime.signals import ignore_hangups  # noqa: PLC0415
    from hanoverd.runtime.steady_time import keep_steady_time  # noqa: PLC0415

    running = cast("DaemonReactor", reactor)
    keep_steady_time(reactor)
    ignore_hangups()
    try:
        if isinstance(options.spec, BuilderSpec) and options.spec.once:
            # A service has no exit status, so this is not one: it runs and exits here.
            _log_to_stdout(options.spec.log_format)
            raise SystemExit(0 if run_builder_once(options.spec, dict(os.environ), running) else START_FAILED)
        if isinstance(options.spec, DiffSpec):
            raise SystemExit(_run_diff(options.spec, running))
        if isinstance(options.spec, WebSpec) and options.spec.new_token:
            _replace_token()
            raise SystemExit(0)
        service = assemble(options.spec, dict(os.environ), running, stdin=0)
    except HanoverdError as error:
        complain(error)
        # As docker, which leaves to the engine what is asked of it here.
        raise SystemExit(USAGE_FAILED if isinstance(error, RequestRefused) else START_FAILED) from None
    twistd = options.parent
    return service if twistd is None else _logged(service, twistd, options.spec.log_format, running)


def _run_diff(spec: DiffSpec, reactor: DaemonReactor) -> int:
    from hanoverd.cli.client.planned import run_diff  # noqa: PLC0415  # as in ``assemble``

    try:
        return run_diff(spec, _for_children(os.environ), reactor)
    except HanoverdError as error:
        complain(error)
        return TROUBLE


def _replace_token() -> None:
    from hanoverd.web.token import TokenFile, token_message  # noqa: PLC0415  # as in ``assemble``

    sys.stdout.write(token_message(TokenFile(token_file_of(state_folder(os.environ, os.geteuid()))).replace()))


def _logged(service: Service, twistd: Mapping[str, Any], log_format: str, reactor: DaemonReactor) -> IService:
    """Return a service that runs ``service``, and makes twistd write the log in ``log_format``."""
    from twisted.application.service import MultiService  # noqa: PLC0415
    from twisted.logger import ILogObserver  # noqa: PLC0415

    from hanoverd.logs.destination import open_log  # noqa: PLC0415

    class Logged(MultiService):
        def setServiceParent(self, parent: Any) -> None:
            """Become a part of twistd's application, and set the log observer that twistd uses from now on."""
            super().setServiceParent(parent)  # type: ignore[no-untyped-call]  # Twisted's
            parent.setComponent(ILogObserver, open_log(twistd, log_format, os.environ, reactor))

    logged = Logged()  # type: ignore[no-untyped-call]  # as above
    service.setServiceParent(logged)
    return logged


def _log_to_stdout(log_format: str) -> None:
    """Log as ``twistd --nodaemon`` does, which starts its log only for a service."""
    from twisted.logger import globalLogBeginner  # noqa: PLC0415

    from hanoverd.logs.destination import to_stream  # noqa: PLC0415

    globalLogBeginner.beginLoggingTo([to_stream(sys.stdout, log_format, os.environ)], redirectStandardIO=False)


def assemble(
    spec: AppSpec | BuilderSpec | HookbotServerSpec | WebSpec,
    environ: Mapping[str, str],
    reactor: DaemonReactor,
    stdin: int,
) -> Service:
    """Check what can be checked at the start, and return the service.

    Fails with ``HanoverdError``, and then holds nothing.  Blocks until the checks are done.
    """
    # All of them late: each program loads only what it needs.
    if isinstance(spec, HookbotServerSpec):
        from hanoverd.hookbot.wiring import assemble_server  # noqa: PLC0415

        return assemble_server(spec, reactor)
    if isinstance(spec, BuilderSpec):
        from hanoverd.builder.wiring import assemble_builder  # noqa: PLC0415

        return assemble_builder(spec, _for_children(environ), reactor)
    if isinstance(spec, WebSpec):
        from hanoverd.web.wiring import assemble_web  # noqa: PLC0415

        return assemble_web(spec, environ, reactor)
    from hanoverd.daemon import assemble_daemon  # noqa: PLC0415

    return assemble_daemon(spec, _for_children(environ), reactor, stdin)


def run_builder_once(spec: BuilderSpec, environ: Mapping[str, str], reactor: DaemonReactor) -> bool:
    """Run the reactor for one build; return whether it succeeded.  Fails with ``HanoverdError`` if it cannot start."""
    from hanoverd.builder.wiring import run_once  # noqa: PLC0415  # as above

    return run_once(spec, _for_children(environ), reactor)


def _for_children(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _OWN_SECRETS}
