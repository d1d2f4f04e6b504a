"""Puts the daemon together from its settings: the one place where every part meets its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.python.threadpool import ThreadPool

from hanoverd.commandline.settings import Settings
from hanoverd.discards import Discards
from hanoverd.edges.conntrack import Conntrack
from hanoverd.edges.engine import Engine
from hanoverd.edges.engine_address import engine_address
from hanoverd.edges.firewall import Firewall
from hanoverd.edges.health import Health
from hanoverd.edges.ports import HeldPort, hold_name, hold_ports, release_ports
from hanoverd.errors import HanoverdError
from hanoverd.handover import Handovers
from hanoverd.model.container import ContainerOptions
from hanoverd.model.images import built_name
from hanoverd.preflight import check_engine, check_firewall
from hanoverd.progress import show_progress
from hanoverd.retirement import DrainOptions, Retirement
from hanoverd.service import HanoverdService
from hanoverd.sources import Source
from hanoverd.sources.folder import FolderSource, check_dockerfile
from hanoverd.sources.registry import RegistrySource
from hanoverd.supervisor import Supervisor
from hanoverd.switch import Switch
from hanoverd.version import Versions

#: Each running version keeps two threads (its output, its end), each handover and retirement one more.  A thread
#: is made when it is needed.
MOST_THREADS = 500


def assemble(settings: Settings, environ: Mapping[str, str], reactor: Any, stdin: int) -> HanoverdService:
    """Check what can be checked at start, take hold of the app's name and ports, and build the service.

    Fails with ``HanoverdError``, and then holds nothing.  Blocks for as long as the checks take.
    """
    address = engine_address(environ)
    if settings.image is None:
        check_dockerfile(Path(settings.folder))
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
    pool = ThreadPool(minthreads=0, maxthreads=MOST_THREADS, name="engine")
    engine = Engine(reactor, pool, address)
    conntrack = Conntrack(reactor, environ)
    supervisor = _supervisor(settings, environ, reactor, engine, conntrack, ports)
    return HanoverdService(reactor, pool, supervisor, conntrack, release, stdin)


def _supervisor(
    settings: Settings,
    environ: Mapping[str, str],
    reactor: Any,
    engine: Engine,
    conntrack: Conntrack,
    ports: list[HeldPort],
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
        _source(settings, engine),
        versions,
        switch,
        discards,
        show_progress(),
        overlap=not settings.disable_overlap,
    )
    drain = DrainOptions(settings.overlap_grace, settings.drain_timeout, settings.drain_signal)
    retirement = Retirement(reactor, engine, conntrack, versions, drain)
    return Supervisor(reactor, engine, settings.app, versions, switch, handovers, retirement, discards)


def _source(settings: Settings, engine: Engine) -> Source:
    if settings.image is not None:
        return RegistrySource(engine, settings.image)
    return FolderSource(engine, Path(settings.folder), built_name(settings.app))


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
