"""Puts the daemon together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.adoption import Adoption
from hanoverd.checkup import Checkup, CheckupOptions
from hanoverd.commandline.settings import Settings
from hanoverd.discards import Discards
from hanoverd.edges.conntrack import Conntrack
from hanoverd.edges.engine import Engine
from hanoverd.edges.engine_address import engine_address
from hanoverd.edges.firewall import Firewall
from hanoverd.edges.health import Health
from hanoverd.edges.ports import HeldPort, hold_name, hold_ports, release_ports
from hanoverd.edges.systemd import Systemd
from hanoverd.errors import HanoverdError
from hanoverd.guard import Guard
from hanoverd.handover import Handovers
from hanoverd.hooks import Hook, Hooks
from hanoverd.model.container import ContainerOptions
from hanoverd.preflight import check_engine, check_firewall
from hanoverd.progress import show_progress
from hanoverd.retirement import DrainOptions, Retirement
from hanoverd.service import HanoverdService
from hanoverd.sources import Source
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
    source = open_source(obtaining.source, make_surroundings(obtaining, settings.app, environ, reactor, engine))
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
        conntrack = Conntrack(reactor, environ)
        hooks = Hooks(reactor, environ, [Hook(*hook) for hook in settings.hooks], settings.notify)
        switch = Switch(Firewall(reactor, environ, settings.app), ports)
        versions = Versions(
            reactor,
            engine,
            Health(reactor, settings.status_uri),
            settings.app,
            _container_options(settings),
            settings.status_timeout,
        )
        supervisor = _supervisor(settings, reactor, engine, conntrack, versions, switch, source, hooks)
        checkup = Checkup(
            reactor, versions, switch, CheckupOptions(settings.watch, settings.watch_failures), supervisor.replace
        )
        follower = None
        if obtaining.hookbot is not None:
            # Late: only those who listen to a hookbot need room for websockets.
            from hanoverd.wiring.hookbot import make_follower  # noqa: PLC0415

            follower = make_follower(obtaining.hookbot, obtaining.hookbot_ca, reactor, source, supervisor.triggers)
    except HanoverdError:
        release()
        raise
    guard, systemd = Guard(reactor, switch), Systemd(reactor, environ)
    return HanoverdService(reactor, pool, supervisor, conntrack, guard, checkup, systemd, follower, release, stdin)


def _supervisor(
    settings: Settings,
    reactor: Any,
    engine: Engine,
    conntrack: Conntrack,
    versions: Versions,
    switch: Switch,
    source: Source,
    hooks: Hooks,
) -> Supervisor:
    discards = Discards(reactor, versions)
    handovers = Handovers(
        reactor,
        source,
        versions,
        switch,
        discards,
        show_progress(),
        hooks,
        overlap=not settings.disable_overlap,
    )
    # The old version has to be there for as long as it may be wanted back.
    grace, most = (max(seconds, settings.settle) for seconds in (settings.overlap_grace, settings.drain_timeout))
    drain = DrainOptions(grace, most, settings.drain_signal)
    retirement = Retirement(reactor, engine, conntrack, versions, drain)
    return Supervisor(
        reactor,
        Adoption(engine, settings.app, versions, switch),
        versions,
        switch,
        handovers,
        retirement,
        discards,
        settings.restart,
        hooks,
        keep=settings.on_exit == "keep",
        settle=settings.settle,
    )


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
