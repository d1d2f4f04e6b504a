"""Puts the daemon together from its settings: the one place where every part meets its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.python.threadpool import ThreadPool

from hanoverd.builder import Builder
from hanoverd.builder_service import BuilderService, build_once
from hanoverd.commandline.settings import AnySettings, BuilderSettings, Obtaining, ServeSettings, Settings
from hanoverd.discards import Discards
from hanoverd.edges.conntrack import Conntrack
from hanoverd.edges.credentials import Credentials
from hanoverd.edges.engine import Engine
from hanoverd.edges.engine_address import engine_address
from hanoverd.edges.firewall import Firewall
from hanoverd.edges.health import Health
from hanoverd.edges.ports import HeldPort, hold_name, hold_ports, release_ports
from hanoverd.edges.publishing import publish
from hanoverd.edges.websocket import certificates, listen
from hanoverd.errors import HanoverdError
from hanoverd.handover import Handovers
from hanoverd.hookbot.follower import Follower
from hanoverd.hookbot.server import Server
from hanoverd.hookbot.service import ServerService
from hanoverd.model.container import ContainerOptions
from hanoverd.model.hookbot import UPDATE
from hanoverd.model.names import app_name_from
from hanoverd.preflight import check_engine, check_firewall
from hanoverd.progress import show_progress
from hanoverd.retirement import DrainOptions, Retirement
from hanoverd.service import HanoverdService
from hanoverd.sources import Source, Surroundings
from hanoverd.sources.kinds import open_source
from hanoverd.supervisor import Supervisor
from hanoverd.switch import Switch
from hanoverd.triggers import Triggers
from hanoverd.version import Versions

#: Each running version keeps two threads (its output, its end), each handover and retirement one more.  A thread
#: is made when it is needed.
MOST_THREADS = 500


#: What only this process need know: git, ssh and docker do without.
_OWN_SECRETS = (
    "HOOKBOT_URL",
    "HOOKBOT_MONITOR_URL",
    "HOOKBOT_DOCKER_NOTIFY_URL",
    "HOOKBOT_KEY",
    "HOOKBOT_GITHUB_SECRET",
)


def assemble(settings: AnySettings, environ: Mapping[str, str], reactor: Any, stdin: int) -> Service:
    """Check what can be checked at start, take hold of what must be one's own, and build the service.

    Fails with ``HanoverdError``, and then holds nothing.  Blocks for as long as the checks take.
    """
    environ = {name: value for name, value in environ.items() if name not in _OWN_SECRETS}
    if isinstance(settings, ServeSettings):
        server = Server(reactor, settings.key, settings.github_secret)
        return ServerService(reactor, server, settings.host, settings.port, settings.tls)
    if isinstance(settings, BuilderSettings):
        return _assemble_builder(settings, environ, reactor)
    return _assemble_daemon(settings, environ, reactor, stdin)


def _assemble_daemon(settings: Settings, environ: Mapping[str, str], reactor: Any, stdin: int) -> HanoverdService:
    address = engine_address(environ)
    pool = ThreadPool(minthreads=0, maxthreads=MOST_THREADS, name="engine")
    engine = Engine(reactor, pool, address)
    around = _surroundings(settings.obtaining, settings.app, environ, reactor, engine)
    source = open_source(settings.obtaining.source, around)
    source.check()
    trust = certificates(settings.obtaining.hookbot_ca) if settings.obtaining.hookbot else None
    lock = hold_name(settings.app)
    try:
        ports = hold_ports(settings.publish)
    except HanoverdError:
        lock.close()
        raise

    def release() -> None:
        release_ports(ports)
        lock.close()

    try:
        check_firewall(environ, settings.app, ports)
        check_engine(address)
    except HanoverdError:
        release()
        raise
    conntrack = Conntrack(reactor, environ)
    supervisor = _supervisor(settings, environ, reactor, engine, conntrack, ports, source)
    follower = _follower(settings.obtaining, reactor, trust, source, supervisor.triggers)
    return HanoverdService(reactor, pool, supervisor, conntrack, follower, release, stdin)


def _assemble_builder(settings: BuilderSettings, environ: Mapping[str, str], reactor: Any) -> BuilderService:
    pool, builder, follower = _builder(settings, environ, reactor)
    return BuilderService(reactor, pool, builder, follower)


def run_builder_once(settings: BuilderSettings, environ: Mapping[str, str], reactor: Any) -> bool:
    """Run the reactor for one build; whether all of it worked.  Fails with ``HanoverdError`` where it cannot begin."""
    environ = {name: value for name, value in environ.items() if name not in _OWN_SECRETS}
    pool, builder, _ = _builder(settings, environ, reactor)
    return build_once(reactor, pool, builder)


def _builder(
    settings: BuilderSettings, environ: Mapping[str, str], reactor: Any
) -> tuple[ThreadPool, Builder, Follower]:
    address = engine_address(environ)
    pool = ThreadPool(minthreads=0, maxthreads=MOST_THREADS, name="engine")
    engine = Engine(reactor, pool, address)
    app = app_name_from(settings.image.repository)
    around = _surroundings(settings.obtaining, f"{app}-builder", environ, reactor, engine)
    source = open_source(settings.obtaining.source, around)
    source.check()
    trust = certificates(settings.obtaining.hookbot_ca)
    check_engine(address)
    notify = partial(publish, reactor, settings.notify, trust, UPDATE)
    builder = Builder(reactor, engine, around.credentials, source, settings.image, notify, show_progress())
    follower = _follower(settings.obtaining, reactor, trust, source, builder.triggers)
    assert follower is not None  # noqa: S101  # a builder always listens
    return pool, builder, follower


def _surroundings(
    obtaining: Obtaining, app: str, environ: Mapping[str, str], reactor: Any, engine: Engine
) -> Surroundings:
    return Surroundings(
        reactor=reactor,
        engine=engine,
        credentials=Credentials(reactor, environ),
        environ=environ,
        app=app,
        folder=Path(obtaining.folder),
        state_folder=Path(obtaining.state_folder),
        build=obtaining.build,
        pull=obtaining.pull,
        git_protocol=obtaining.git_protocol,
    )


def _follower(obtaining: Obtaining, reactor: Any, trust: Any, source: Source, triggers: Triggers) -> Follower | None:
    if obtaining.hookbot is None:
        return None
    connect = partial(listen, reactor, obtaining.hookbot.url, trust)
    return Follower(reactor, obtaining.hookbot, connect, source, triggers)


def _supervisor(
    settings: Settings,
    environ: Mapping[str, str],
    reactor: Any,
    engine: Engine,
    conntrack: Conntrack,
    ports: list[HeldPort],
    source: Source,
) -> Supervisor:
    versions = Versions(
        reactor,
        engine,
        Health(reactor, settings.status_uri),
        settings.app,
        _container_options(settings),
        settings.status_timeout,
    )
    switch = Switch(Firewall(reactor, environ, settings.app), ports)
    discards = Discards(reactor, versions)
    handovers = Handovers(
        reactor,
        source,
        versions,
        switch,
        discards,
        show_progress(),
        overlap=not settings.disable_overlap,
    )
    drain = DrainOptions(settings.overlap_grace, settings.drain_timeout, settings.drain_signal)
    retirement = Retirement(reactor, engine, conntrack, versions, drain)
    return Supervisor(reactor, engine, settings.app, versions, switch, handovers, retirement, discards)


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
