"""The daemon of one app: how it is assembled from the specification, and its life as a Twisted service."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorUNIX
from twisted.logger import Logger

from hanoverd.api.control import Control
from hanoverd.api.control_socket import listen
from hanoverd.api.server import ControlServer
from hanoverd.deploy.app import App, AppFiles, AppReactor
from hanoverd.deploy.cidfile import CidFile
from hanoverd.deploy.handover import Sources
from hanoverd.deploy.origins import AT_START, BY_SIGNAL, HookbotTarget
from hanoverd.docker.access import TrustedUsers
from hanoverd.docker.address import engine_address
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.docker.preflight import ask_engine, ask_setup, check_engine, find_container
from hanoverd.images import Source
from hanoverd.images.kinds import open_source
from hanoverd.images.progress import show_progress
from hanoverd.images.wiring import ObtainReactor, make_pool, make_source_context
from hanoverd.logs.recent import RecentLog
from hanoverd.network.host_ports import HeldPort, hold_ports, relay_sockets, release_ports
from hanoverd.network.iptables import Table
from hanoverd.network.name_lock import lock_name
from hanoverd.network.port_memory import PortMemory
from hanoverd.network.preflight import check_claims, check_firewall, report_obstacles
from hanoverd.network.rules import published_ports
from hanoverd.notify.hooks import HookReactor, Hooks
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.exit_status import exit_with
from hanoverd.runtime.file_limit import raise_file_limit
from hanoverd.runtime.ipv6 import has_ipv6
from hanoverd.runtime.reactors import ServerReactor
from hanoverd.runtime.running import RunningService
from hanoverd.runtime.signals import handle_signals
from hanoverd.runtime.sockets import pause_file_of, runtime_folder
from hanoverd.runtime.state_folder import history_file_of, number_file_of, port_file_of, state_folder
from hanoverd.runtime.systemd import Systemd
from hanoverd.runtime.terminal import Terminal, TerminalReactor
from hanoverd.spec.app import AppSpec
from hanoverd.spec.ports import certain_ports
from hanoverd.spec.source_name import IMAGE, SourceName

if TYPE_CHECKING:
    from hanoverd.hookbot.trigger import HookbotTrigger

log = Logger()

#: The exit status if the start fails.
START_FAILED = 1


#: How many files and sockets the daemon may have open: one for each published port and family, and for relayed connections.
_FILES = 16384


class DaemonReactor(ServerReactor, TerminalReactor, ObtainReactor, HookReactor, AppReactor, IReactorUNIX):
    """The interfaces of a reactor that the daemon needs."""


class HanoverdService(RunningService):
    """Runs an app while the reactor runs: one handover at the start, and one for each SIGHUP.

    SIGTERM, SIGINT and the end of an interactive terminal stop the reactor, and the app gracefully.  A second signal
    kills the containers that are still stopping.
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
        self._name = app.versions.app
        self._stopping = False
        app.reporter.stop_after_failure = self._stop_without_image
        control.on_stop = lambda: self._stop("hanoverd stop")

    def begin(self) -> None:
        """Handle signals and requests from now on, and start the first handover."""
        trigger = self._app.orchestrator.trigger
        handle_signals(self._reactor, lambda: trigger("SIGHUP", origin=BY_SIGNAL), self._stop)
        self._pool.start()
        self._control.start()
        self._terminal.watch()
        log.info(
            "{app}: hanoverd runs as process {pid}; `kill -HUP {pid}` starts a handover, `kill {pid}` or Ctrl-C stops it",
            event="running",
            app=self._name,
            pid=os.getpid(),
        )
        if self._app.orchestrator.state.requests.is_paused:
            log.info(
                "{app}: paused since an earlier run: triggers are held until `hanoverd resume {app}`",
                event="paused",
                app=self._name,
            )
        self._app.start()
        trigger("start", origin=AT_START)
        self._systemd.ready()
        if self._hookbot is not None:
            self._hookbot.start()
        # What is loaded now stays: the garbage collector does not have to visit it in the middle of a handover.
        gc.freeze()
        Deferred.fromCoroutine(self._app.conntrack.check()).addErrback(
            lambda failure: log.failure("conntrack: internal error", failure, event="internal_error")
        )

    async def end(self) -> None:
        """Stop the app, and release its name and ports; fires when that is done and the threads have ended."""
        self._systemd.stopping()
        self._terminal.unwatch()
        if self._hookbot is not None:
            await self._hookbot.stop()
        await self._app.stop()
        await self._control.close()
        self._pool.stop()
        self._release()
        self._systemd.ended()
        log.info("{app}: hanoverd has stopped", event="ended", app=self._name)

    def _stop_without_image(self) -> bool:
        """Stop if no image was obtained and no trigger is pending or can come from a hookbot; return whether it stops."""
        requests = self._app.orchestrator.state.requests
        if self._hookbot is not None or not requests.is_empty or any(record.image_id for record in self._app.history):
            return False
        log.error(
            "{app}: no image could be obtained and no version is live: stopping with exit status 1",
            event="start_failed",
            app=self._name,
        )
        exit_with(START_FAILED)
        self._stopping = True
        self._reactor.callLater(0, self._reactor.stop)
        return True

    def _end_of_input(self) -> None:
        self._stop("end of input (Ctrl-D)")

    def _stop(self, reason: str) -> None:
        if self._stopping:
            log.info(
                "{app}: {reason} again: killing what is still running",
                event="killing",
                app=self._name,
                reason=reason,
            )
            self._app.orchestrator.kill()
            return
        self._stopping = True
        log.info(
            "{app}: stopping: {reason} (once more kills what is still running)",
            event="stopping",
            app=self._name,
            reason=reason,
        )
        self._reactor.stop()


def assemble_daemon(spec: AppSpec, environ: Mapping[str, str], reactor: DaemonReactor, stdin: int) -> HanoverdService:
    """Return the daemon, which already holds its app's name and ports.

    Fails with ``HanoverdError``, and then holds nothing.  Blocks until the checks are done.
    """
    raise_file_limit(_FILES)
    address = engine_address(environ)
    pool = make_pool()
    engine = Engine(reactor, pool, address)
    context = make_source_context(spec.source, spec.name, environ, reactor, engine)
    source = open_source(spec.source.name, context)
    source.check()
    folder = runtime_folder(environ, os.geteuid())
    lock = lock_name(spec.name, folder, TrustedUsers(environ))
    if lock.ignored:
        _warn_of_name(spec.name, lock.ignored)
    held: list[HeldPort] = []
    state = state_folder(environ, os.geteuid())
    memory = PortMemory(port_file_of(state, spec.name))

    def release() -> None:
        release_ports(held)
        lock.close()

    try:
        held += _hold_ports(spec, check_firewall(environ), memory)
        ports = [port.published for port in held]
        api_version = check_engine(address, spec.container.settings)
        ask_engine(address, api_version, spec.name, spec.container)
        if ports:
            report_obstacles(spec.name, ports, ask_setup(address, api_version), environ)
        memory.save([port.published for port in held if port.was_picked])
        if spec.cidfile:
            CidFile(Path(spec.cidfile), spec.name).check(partial(find_container, address, api_version))
        app = App(
            reactor,
            environ,
            spec,
            engine,
            Sources(
                source,
                lambda image: open_source(SourceName(IMAGE, image), context),
                spec.handover.obtain_timeout,
                show_progress(),
            ),
            ports,
            Hooks(reactor, environ, spec.notifications),
            AppFiles(
                history_file_of(state, spec.name), pause_file_of(folder, spec.name), number_file_of(state, spec.name)
            ),
            relay_sockets(held),
        )
        hookbot = _hookbot_trigger(spec, reactor, source, app)
        # The last one that can fail, because it would have to be closed again.
        control = ControlServer(reactor, Control(app), RecentLog(), partial(listen, reactor, environ, spec.name))
    except HanoverdError:
        release()
        raise
    return HanoverdService(reactor, pool, app, Systemd(reactor, environ), control, hookbot, release, stdin)


def _warn_of_name(app: str, reason: str) -> None:
    log.warn(
        "{app}: the socket name that announces this app to other users is not used: {reason}",
        event="name_held",
        app=app,
        reason=reason,
    )


def _hold_ports(spec: AppSpec, rules: Table, memory: PortMemory) -> list[HeldPort]:
    """Hold the host ports of the app, which no other app's rules route, and where it can, the ports that it had before."""
    # First, because it can name the other app.
    check_claims(spec.name, certain_ports(spec.ports), rules)
    with_ipv6 = has_ipv6()
    if not with_ipv6 and any(request.address is None for request in spec.ports):
        log.info("{app}: published over IPv4 only: this host has no IPv6", event="no_ipv6", app=spec.name)
    used = [*published_ports(spec.name, rules), *memory.read()]
    held = hold_ports(spec.ports, used, with_ipv6=with_ipv6)
    try:
        check_claims(spec.name, [port.published for port in held], rules)
    except HanoverdError:
        release_ports(held)
        raise
    return held


def _hookbot_trigger(spec: AppSpec, reactor: DaemonReactor, source: Source, app: App) -> HookbotTrigger | None:
    if spec.hookbot is None:
        return None
    # Late: only an app with a hookbot needs the memory for websockets.
    from hanoverd.hookbot.wiring import make_hookbot_trigger  # noqa: PLC0415

    target = HookbotTarget(app.orchestrator, spec.hookbot.subscription.url.topic or "")
    return make_hookbot_trigger(spec.hookbot, reactor, source, target)
