"""Connects the parts of one app: the one place where they meet, for the daemon and for tests."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hanoverd.deploy.adoption import Adoption
from hanoverd.deploy.cidfile import CidFile
from hanoverd.deploy.container_options import current_options
from hanoverd.deploy.drain import Drain
from hanoverd.deploy.events import Exited, Gone, PruneFailed, StopRequested, Unhealthy
from hanoverd.deploy.handover import Handovers, Sources
from hanoverd.deploy.history import History
from hanoverd.deploy.liveness import Liveness
from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.deploy.orchestrator import Orchestrator, Parts
from hanoverd.deploy.pause import PauseFile
from hanoverd.deploy.preview import next_differences
from hanoverd.deploy.removals import Removals
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.requests import Requests
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.retirement import Retirement
from hanoverd.deploy.state import Policy, Role, State
from hanoverd.deploy.time_limits import DEFAULT_LIMITS, TimeLimits
from hanoverd.docker.engine import Engine
from hanoverd.history.store import HistoryStore
from hanoverd.network.conntrack import Conntrack
from hanoverd.network.firewall import Firewall
from hanoverd.network.forwarding_monitor import ForwardingMonitor
from hanoverd.network.reconciler import Reconciler
from hanoverd.network.relay import Relays
from hanoverd.network.relay_connection import RelayReactor
from hanoverd.network.routes import Routes
from hanoverd.network.udp_flows import UdpFlows
from hanoverd.notify.hooks import Hooks
from hanoverd.runtime.processes import ProcessReactor
from hanoverd.runtime.reactors import ServiceReactor
from hanoverd.spec.app import AppSpec
from hanoverd.spec.differences import Difference
from hanoverd.spec.ports import HostPort, PublishedPort
from hanoverd.spec.retention import KEEP
from hanoverd.versions.checks import Checks
from hanoverd.versions.connect_race import ConnectReactor
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Running
from hanoverd.versions.versions import Versions


class AppReactor(ProcessReactor, ConnectReactor, RelayReactor, ServiceReactor):
    """The interfaces of a reactor that an app needs."""


@dataclass(frozen=True)
class AppFiles:
    """The files of what an app remembers over a stop."""

    history: Path
    paused: Path
    numbers: Path


class App:
    """One app: its parts, connected.  ``orchestrator`` takes the requests.

    ``reporter`` is what clients and hooks are shown; ``limits`` are the time limits that are not options.
    """

    def __init__(
        self,
        reactor: AppReactor,
        environ: Mapping[str, str],
        spec: AppSpec,
        engine: Engine,
        sources: Sources,
        ports: Sequence[PublishedPort],
        hooks: Hooks,
        files: AppFiles,
        sockets: Mapping[HostPort, socket.socket],
        limits: TimeLimits = DEFAULT_LIMITS,
    ) -> None:
        paused, numbers = PauseFile(files.paused), VersionNumbers(files.numbers)
        self.history = History(time.time, reactor.seconds, spec.name, HistoryStore(reactor, files.history))
        state = State(_policy(spec), requests=Requests(is_paused=paused.exists), next_number=numbers.next)
        self.orchestrator = Orchestrator(reactor, state, self.history)
        self._engine, self._source, self._hooks, send = engine, sources.app, hooks, self.orchestrator.send
        self._options = options = partial(current_options, spec.container, environ)
        self.versions = versions = Versions(
            reactor, engine, Checks(reactor, engine, spec.health), spec.name, options, limits.last_output, spec.streams
        )
        versions.on_exit = self._exited
        self._relays = relays = Relays(reactor, sockets)
        self.stopper = stopper = Stopper(reactor, engine, versions, spec.container.stop_timeout)
        firewall, flows = Firewall(reactor, environ, spec.name), UdpFlows(reactor, environ, ports, relays)
        self.conntrack = conntrack = Conntrack(reactor, environ, counts_udp=flows.has_ports)
        self.routes = routes = Routes(firewall, ports, flows, conntrack, relays, spec.container.reachability)
        if spec.cidfile:
            routes.on_live = CidFile(Path(spec.cidfile), spec.name).follow
        self.reporter = Reporter(reactor, versions, routes, self.history, self._state)
        self.retention = Retention(
            engine,
            versions,
            stopper,
            spec.retention.versions,
            self._retiring,
            self._newest_live,
            lambda number: send(Gone(number)),
            lambda: send(PruneFailed()),
        )
        drain = Drain(reactor, engine, conntrack, routes.flows, spec.handover.drain_after_settling)
        self.retirement = Retirement(
            reactor, versions, stopper, drain, self.retention, self.reporter, self._state, send
        )
        self._removals = Removals(reactor, versions, stopper, routes, conntrack, self.reporter, limits.removal, send)
        self.orchestrator.parts = Parts(
            adoption=Adoption(versions, routes, numbers, limits.adoption_ready + spec.health.least_time, send),
            handovers=self._handovers(reactor, sources),
            retirement=self.retirement,
            retention=self.retention,
            removals=self._removals,
            stopper=stopper,
            reporter=self.reporter,
            pause_file=paused,
            numbers=numbers,
        )
        self.reconciler = Reconciler(reactor, routes, ForwardingMonitor(spec.name, ports))
        self._liveness = Liveness(
            reactor, versions, spec.health, self.live, lambda number, reason: send(Unhealthy(number, reason))
        )

    def _exited(self, number: int, code: int) -> None:
        # The kernel does not tell the relay's silent connections that the container is gone.
        self._relays.close(self.versions.container(number).name)
        self.orchestrator.send(Exited(number, code))

    def _handovers(self, reactor: AppReactor, sources: Sources) -> Handovers:
        return Handovers(
            reactor,
            sources,
            self.versions,
            self.stopper,
            self.routes,
            self.retirement,
            self.retention,
            self._removals,
            self._hooks,
            self.reporter,
            self._state,
            self.orchestrator.send,
        )

    def end(self) -> None:
        """End the app, also with ``--on-exit keep``; ``stop`` waits until it is over."""
        self.orchestrator.send(StopRequested(ends_app=True))

    def start(self) -> None:
        """Take over what an earlier run left, and start to handle requests."""
        self.history.open()
        self._hooks.start()
        self.orchestrator.start()
        self.reconciler.start()
        self._liveness.start()

    async def stop(self) -> None:
        """Stop the app; fires when no work is left.  See ``Orchestrator.stop``."""
        await self._liveness.stop()
        await self.orchestrator.stop()
        await self._hooks.close()
        await self.history.close()
        await self.versions.stop_monitoring_all()
        await self.reconciler.stop()
        self._relays.stop()

    async def next_differences(self, live: Running) -> tuple[Difference, ...]:
        """Return what the next handover would change about ``live``; see ``preview.next_differences``."""
        return await next_differences(self._engine, live.container.ref, self._source, self._options())

    def live(self) -> list[Running]:
        """Return the live versions."""
        return self._running(Role.LIVE)

    def draining(self) -> list[Running]:
        """Return the draining versions."""
        return self._running(Role.DRAINING)

    def _state(self) -> State:
        return self.orchestrator.state

    def _retiring(self) -> list[int]:
        """Return the versions that were live, were replaced, and will be kept for rollbacks."""
        retiring = self.orchestrator.state.in_role(Role.DRAINING, Role.STOPPING)
        return [one.number for one in retiring if one.live_order and not (one.is_rejected or one.has_exited)]

    def _newest_live(self) -> Running | None:
        live = self.orchestrator.state.newest_live
        return None if live is None else self.versions.running(live.number)

    def _running(self, role: Role) -> list[Running]:
        found = [self.versions.running(version.number) for version in self.orchestrator.state.in_role(role)]
        return [running for running in found if running is not None]


def _policy(spec: AppSpec) -> Policy:
    return Policy(
        spec.restart,
        settle=spec.handover.settle,
        overlap=not spec.handover.stop_first,
        keep=spec.retention.on_exit == KEEP,
        if_changed=spec.handover.if_changed,
    )
