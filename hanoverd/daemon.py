"""The daemon of one app: what it is made of, and its life as a Twisted service."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.logger import Logger

from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.server import ControlServer
from hanoverd.deploy.app import App, AppOptions
from hanoverd.deploy.drain import DrainOptions
from hanoverd.deploy.liveness import LivenessOptions
from hanoverd.deploy.state import Policy
from hanoverd.docker.address import engine_address
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.images import Source, SourceContext
from hanoverd.images.kinds import open_source
from hanoverd.images.progress import show_progress
from hanoverd.images.wiring import make_pool, make_source_context
from hanoverd.logs.recent import RecentLog
from hanoverd.network.host_ports import HeldPort, hold_name, hold_ports, release_ports
from hanoverd.network.preflight import check_engine, check_firewall, ports_in_use
from hanoverd.notify.hooks import Hook, Hooks
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.running import RunningService
from hanoverd.runtime.signals import take_signals
from hanoverd.runtime.sockets import pause_file_of, runtime_folder
from hanoverd.runtime.systemd import Systemd
from hanoverd.runtime.terminal import Terminal, TerminalReactor
from hanoverd.spec.container import ContainerOptions
from hanoverd.spec.ports import PublishedPort
from hanoverd.spec.settings import Settings
from hanoverd.spec.source_name import IMAGE, SourceName

if TYPE_CHECKING:
    from hanoverd.hookbot.trigger import HookbotTrigger

log = Logger()


class DaemonReactor(IReactorCore, TerminalReactor, IReactorFromThreads):
    """What a reactor must be able to do to run the daemon."""


class HanoverdService(RunningService):
    """Runs an app while the reactor runs: one handover at the start, one for each SIGHUP.

    SIGTERM, SIGINT and the end of an interactive terminal stop the reactor, and so, gracefully, this; a second
    signal kills what takes its time.
    """

    def __init__(
        self,
        reactor: DaemonReactor,
        pool: Pools,
        app: App,
        systemd: Systemd,
        control: ControlServer,
        hookbot: HookbotTrigger | None,
        release: Callable[[], object],
        stdin: int,
    ) -> None:
        super().__init__(reactor)
        self._pool = pool
        self._app = app
        self._systemd = systemd
        self._control = control
        self._hookbot = hookbot
        self._release = release
        self._terminal = Terminal(reactor, stdin, self._end_of_input)
        self._stopping = False

    def begin(self) -> None:
        """Take the signals, and the first trigger."""
        take_signals(self._reactor, lambda: self._app.orchestrator.trigger("SIGHUP"), self._stop)
        self._pool.start()
        self._control.start()
        self._terminal.watch()
        log.info(
            "{app}: hanoverd runs as process {pid}; `kill -HUP {pid}` starts a handover, `kill {pid}` or Ctrl-C stops it",
            event="running",
            app=self._app.versions.app,
            pid=os.getpid(),
        )
        if self._app.orchestrator.state.requests.is_paused:
            log.info(
                "{app}: paused since an earlier run: triggers are held until `hanoverd resume {app}`",
                event="paused",
                app=self._app.versions.app,
            )
        self._app.start()
        self._app.orchestrator.trigger("start")
        self._systemd.ready()
        if self._hookbot is not None:
            self._hookbot.start()
        # What is loaded by now stays: the garbage collector need not look at it again in the middle of a handover.
        gc.freeze()
        Deferred.fromCoroutine(self._app.conntrack.probe()).addErrback(
            lambda failure: log.failure("conntrack: internal error", failure, event="internal_error")
        )

    async def end(self) -> None:
        """Fires when nothing is under way any more, and the threads have ended."""
        self._systemd.stopping()
        self._terminal.unwatch()
        if self._hookbot is not None:
            await self._hookbot.stop()
        await self._app.stop()
        await self._control.close()
        self._pool.stop()
        self._release()
        self._systemd.ended()
        log.info("{app}: hanoverd has stopped", event="ended", app=self._app.versions.app)

    def _end_of_input(self) -> None:
        self._stop("end of input (Ctrl-D)")

    def _stop(self, reason: str) -> None:
        if self._stopping:
            log.info(
                "{app}: {reason} again: killing what is still running",
                event="killing",
                app=self._app.versions.app,
                reason=reason,
            )
            self._app.orchestrator.kill()
            return
        self._stopping = True
        log.info(
            "{app}: stopping: {reason} (once more kills what is still running)",
            event="stopping",
            app=self._app.versions.app,
            reason=reason,
        )
        self._reactor.stop()


def assemble_daemon(settings: Settings, environ: Mapping[str, str], reactor: Any, stdin: int) -> HanoverdService:
    """The daemon, which holds its app's name and ports already; fails with ``HanoverdError``, and holds nothing then."""
    address = engine_address(environ)
    pool = make_pool()
    engine = Engine(reactor, pool, address)
    obtaining = settings.obtaining
    context = make_source_context(obtaining, settings.app, environ, reactor, engine)
    source = open_source(obtaining.source, context)
    source.check()
    lock = hold_name(settings.app)
    ports: list[HeldPort] = []

    def release() -> None:
        release_ports(ports)
        lock.close()

    try:
        ports += hold_ports(settings.publish, ports_in_use(environ, settings.app))
        check_firewall(environ, settings.app, [held.published for held in ports])
        check_engine(address)
        return _service(
            settings,
            environ,
            reactor,
            stdin,
            pool,
            engine,
            source,
            context,
            [held.published for held in ports],
            release,
        )
    except HanoverdError:
        release()
        raise


def _service(
    settings: Settings,
    environ: Mapping[str, str],
    reactor: Any,
    stdin: int,
    pool: Pools,
    engine: Engine,
    source: Source,
    context: SourceContext,
    ports: Sequence[PublishedPort],
    release: Callable[[], None],
) -> HanoverdService:
    app = App(
        reactor,
        environ,
        _options(settings),
        engine,
        source,
        lambda reference: open_source(SourceName(IMAGE, reference), context),
        ports,
        Hooks(reactor, environ, [Hook(*hook) for hook in settings.hooks], settings.notify),
        show_progress(),
        pause_file_of(runtime_folder(environ, os.geteuid()), settings.app),
    )
    hookbot = None
    if settings.obtaining.hookbot is not None:
        # Late: only those who listen to a hookbot need room for websockets.
        from hanoverd.hookbot.wiring import make_hookbot_trigger  # noqa: PLC0415

        obtaining = settings.obtaining
        hookbot = make_hookbot_trigger(
            settings.obtaining.hookbot, obtaining.hookbot_ca, reactor, source, app.orchestrator
        )
    # The last of what may fail, for it is to be closed again.
    server = ControlServer(Control(app), RecentLog(), partial(listen, reactor, environ, settings.app))
    return HanoverdService(reactor, pool, app, Systemd(reactor, environ), server, hookbot, release, stdin)


def _options(settings: Settings) -> AppOptions:
    return AppOptions(
        name=settings.app,
        policy=Policy(
            settings.restart,
            settle=settings.settle,
            overlap=not settings.disable_overlap,
            keep=settings.on_exit == "keep",
        ),
        container=_container_options(settings),
        drain=_drain_options(settings),
        liveness=LivenessOptions(settings.watch, settings.watch_failures),
        status_uri=settings.status_uri,
        status_timeout=settings.status_timeout,
        obtain_timeout=settings.obtain_timeout,
        keep_versions=settings.keep_versions,
    )


def _drain_options(settings: Settings) -> DrainOptions:
    # The version that was replaced has to run for as long as it may have to serve again.
    grace, most = (max(seconds, settings.settle) for seconds in (settings.overlap_grace, settings.drain_timeout))
    return DrainOptions(grace, most, settings.drain_signal)


def _container_options(settings: Settings) -> ContainerOptions:
    return ContainerOptions(
        command=tuple(settings.command),
        env=tuple(settings.env),
        # In the order in which the engine lists them.
        ports=tuple(sorted({request.container for request in settings.publish})),
        binds=tuple(settings.binds),
        anonymous_volumes=tuple(settings.anonymous_volumes),
        mounts=tuple(settings.mounts),
        stop_signal=settings.stop_signal,
        stop_timeout=settings.stop_timeout,
    )
