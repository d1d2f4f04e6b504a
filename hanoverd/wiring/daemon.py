"""Puts the daemon together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hanoverd.adoption import Adoption
from hanoverd.checkup import Checkup, CheckupOptions
from hanoverd.commandline.settings import Settings
from hanoverd.control.control import Control
from hanoverd.control.server import ControlServer
from hanoverd.departures import Departures
from hanoverd.discards import Discards
from hanoverd.edges.conntrack import Conntrack
from hanoverd.edges.control_socket import listen
from hanoverd.edges.engine import Engine
from hanoverd.edges.engine_address import engine_address
from hanoverd.edges.firewall import Firewall
from hanoverd.edges.health import Health
from hanoverd.edges.pools import Pools
from hanoverd.edges.ports import HeldPort, hold_name, hold_ports, release_ports
from hanoverd.edges.recent_log import RecentLog
from hanoverd.edges.systemd import Systemd
from hanoverd.errors import HanoverdError
from hanoverd.guard import Guard
from hanoverd.handover import Handovers
from hanoverd.hooks import Hook, Hooks
from hanoverd.kept import Keeper
from hanoverd.model.container import ContainerOptions
from hanoverd.model.history import History
from hanoverd.model.source_name import IMAGE, SourceName
from hanoverd.preflight import check_engine, check_firewall
from hanoverd.progress import show_progress
from hanoverd.retirement import DrainOptions, Retirement
from hanoverd.service import HanoverdService
from hanoverd.sources import Source, Surroundings
from hanoverd.sources.kinds import open_source
from hanoverd.supervisor import Supervisor
from hanoverd.switch import Switch
from hanoverd.version import Versions
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
        ports += hold_ports(settings.publish)
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
    app = _app(settings, environ, reactor, engine, source, around, ports)
    triggers = app.supervisor.triggers
    guard = Guard(reactor, app.switch)
    options = CheckupOptions(settings.watch, settings.watch_failures)
    checkup = Checkup(reactor, app.versions, app.switch, options, app.supervisor.replace)
    follower = None
    if settings.obtaining.hookbot is not None:
        # Late: only those who listen to a hookbot need room for websockets.
        from hanoverd.wiring.hookbot import make_follower  # noqa: PLC0415

        follower = make_follower(settings.obtaining.hookbot, settings.obtaining.hookbot_ca, reactor, source, triggers)
    control = Control(app.versions, app.switch, triggers, app.retirement, app.keeper, guard, app.history)
    # The last of what may fail, for it is to be closed again.
    server = ControlServer(control, RecentLog(), partial(listen, reactor, environ, settings.app))
    systemd = Systemd(reactor, environ)
    return HanoverdService(
        reactor, pool, app.supervisor, app.conntrack, guard, checkup, systemd, server, follower, release, stdin
    )


@dataclass(frozen=True)
class _App:
    """The supervisor, and those of its parts that others need too."""

    versions: Versions
    switch: Switch
    conntrack: Conntrack
    keeper: Keeper
    retirement: Retirement
    history: History
    supervisor: Supervisor


def _app(
    settings: Settings,
    environ: Mapping[str, str],
    reactor: Any,
    engine: Engine,
    source: Source,
    around: Surroundings,
    ports: Sequence[HeldPort],
) -> _App:
    health = Health(reactor, settings.status_uri)
    versions = Versions(reactor, engine, health, settings.app, _container_options(settings), settings.status_timeout)
    switch = Switch(Firewall(reactor, environ, settings.app), ports)
    conntrack = Conntrack(reactor, environ)
    hooks = Hooks(reactor, environ, [Hook(*hook) for hook in settings.hooks], settings.notify)
    keeper = Keeper(engine, versions, settings.keep_versions)
    retirement = Retirement(reactor, engine, conntrack, versions, keeper, _drain_options(settings))
    discards = Discards(reactor, versions)
    history = History(time.time, reactor.seconds)
    handovers = Handovers(
        reactor,
        source,
        lambda reference: open_source(SourceName(IMAGE, reference), around),
        versions,
        switch,
        keeper,
        discards,
        show_progress(),
        hooks,
        overlap=not settings.disable_overlap,
    )
    supervisor = Supervisor(
        reactor,
        Adoption(engine, settings.app, versions, switch),
        versions,
        switch,
        handovers,
        Departures(settings.app, switch, retirement, keeper, hooks),
        keeper,
        discards,
        conntrack,
        settings.restart,
        hooks,
        history,
        keep=settings.on_exit == "keep",
        settle=settings.settle,
    )
    return _App(versions, switch, conntrack, keeper, retirement, history, supervisor)


def _drain_options(settings: Settings) -> DrainOptions:
    # The old version has to be there for as long as it may be wanted back.
    grace, most = (max(seconds, settings.settle) for seconds in (settings.overlap_grace, settings.drain_timeout))
    return DrainOptions(grace, most, settings.drain_signal)


def _container_options(settings: Settings) -> ContainerOptions:
    return ContainerOptions(
        command=settings.command,
        env=settings.env,
        ports=[published.container_port for published in settings.publish],
        binds=settings.binds,
        anonymous_volumes=settings.anonymous_volumes,
        mounts=settings.mounts,
        stop_signal=settings.stop_signal,
        stop_timeout=settings.stop_timeout,
    )
