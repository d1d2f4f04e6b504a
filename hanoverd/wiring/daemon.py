"""Puts the daemon together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hanoverd.commandline.settings import Settings
from hanoverd.control.control import Control
from hanoverd.control.server import ControlServer
from hanoverd.deploy.app import App, AppOptions
from hanoverd.deploy.drain import DrainOptions
from hanoverd.deploy.liveness import LivenessOptions
from hanoverd.deploy.state import Policy
from hanoverd.edges.control_socket import listen
from hanoverd.edges.engine import Engine
from hanoverd.edges.engine_address import engine_address
from hanoverd.edges.pools import Pools
from hanoverd.edges.ports import HeldPort, hold_name, hold_ports, release_ports
from hanoverd.edges.recent_log import RecentLog
from hanoverd.edges.systemd import Systemd
from hanoverd.errors import HanoverdError
from hanoverd.hooks import Hook, Hooks
from hanoverd.model.container import ContainerOptions
from hanoverd.model.runtime import pause_file_of, runtime_folder
from hanoverd.model.source_name import IMAGE, SourceName
from hanoverd.preflight import check_engine, check_firewall, ports_in_use
from hanoverd.progress import show_progress
from hanoverd.service import HanoverdService
from hanoverd.sources import Source, Surroundings
from hanoverd.sources.kinds import open_source
from hanoverd.wiring.obtaining import make_pool, make_surroundings


def assemble_daemon(settings: Settings, environ: Mapping[str, str], reactor: Any, stdin: int) -> HanoverdService:
    """The daemon, which holds its app's name and ports already; fails with ``HanoverdError``, and holds nothing then."""
    address = engine_address(environ)
    pool = make_pool()
    engine = Engine(reactor, pool, address)
    obtaining = settings.obtaining
    around = make_surroundings(obtaining, settings.app, environ, reactor, engine)
    source = open_source(obtaining.source, around)
    source.check()
    lock = hold_name(settings.app)
    ports: list[HeldPort] = []

    def release() -> None:
        release_ports(ports)
        lock.close()

    try:
        ports += hold_ports(settings.publish, ports_in_use(environ, settings.app))
        check_firewall(environ, settings.app, ports)
        check_engine(address)
        return _service(settings, environ, reactor, stdin, pool, engine, source, around, ports, release)
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
    around: Surroundings,
    ports: Sequence[HeldPort],
    release: Callable[[], None],
) -> HanoverdService:
    app = App(
        reactor,
        environ,
        _options(settings),
        engine,
        source,
        lambda reference: open_source(SourceName(IMAGE, reference), around),
        ports,
        Hooks(reactor, environ, [Hook(*hook) for hook in settings.hooks], settings.notify),
        show_progress(),
        pause_file_of(runtime_folder(environ, os.geteuid()), settings.app),
    )
    follower = None
    if settings.obtaining.hookbot is not None:
        # Late: only those who listen to a hookbot need room for websockets.
        from hanoverd.wiring.hookbot import make_follower  # noqa: PLC0415

        obtaining = settings.obtaining
        follower = make_follower(settings.obtaining.hookbot, obtaining.hookbot_ca, reactor, source, app.orchestrator)
    # The last of what may fail, for it is to be closed again.
    server = ControlServer(Control(app), RecentLog(), partial(listen, reactor, environ, settings.app))
    return HanoverdService(reactor, pool, app, Systemd(reactor, environ), server, follower, release, stdin)


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
        ports=tuple(sorted({published.container_port for published in settings.publish})),
        binds=tuple(settings.binds),
        anonymous_volumes=tuple(settings.anonymous_volumes),
        mounts=tuple(settings.mounts),
        stop_signal=settings.stop_signal,
        stop_timeout=settings.stop_timeout,
    )
