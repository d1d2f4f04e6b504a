"""Puts the life of one app together: the one place where its parts meet, for the daemon and for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hanoverd.deploy.adoption import Adoption
from hanoverd.deploy.drain import Drain
from hanoverd.deploy.events import Exited, Gone, Unhealthy
from hanoverd.deploy.handover import Handovers
from hanoverd.deploy.history import History
from hanoverd.deploy.liveness import Liveness
from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.deploy.orchestrator import Orchestrator, Parts
from hanoverd.deploy.pause import PauseFile
from hanoverd.deploy.removals import Removals
from hanoverd.deploy.report import Reporter
from hanoverd.deploy.requests import Requests
from hanoverd.deploy.retention import Retention
from hanoverd.deploy.retirement import Retirement
from hanoverd.deploy.state import Policy, Role, State
from hanoverd.docker.engine import Engine
from hanoverd.images import Progress, Source
from hanoverd.network.conntrack import Conntrack
from hanoverd.network.firewall import Firewall
from hanoverd.network.reconciler import Reconciler
from hanoverd.network.routes import Routes
from hanoverd.notify.hooks import Hooks
from hanoverd.spec.app import AppSpec
from hanoverd.spec.ports import PublishedPort
from hanoverd.spec.retention import KEEP
from hanoverd.versions.health import Health
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Running, Versions


class App:
    """One app: its parts, wired.  ``orchestrator`` is what requests go to."""

    def __init__(
        self,
        reactor: Any,
        environ: Mapping[str, str],
        spec: AppSpec,
        engine: Engine,
        source: Source,
        named: Callable[[str], Source],
        ports: Sequence[PublishedPort],
        hooks: Hooks,
        progress: Progress,
        pause_file: Path,
        number_file: Path,
    ) -> None:
        paused = PauseFile(pause_file)
        numbers = VersionNumbers(number_file)
        self._hooks = hooks
        self.history = History(time.time, reactor.seconds)
        state = State(_policy(spec), requests=Requests(is_paused=paused.is_there), next_number=numbers.next)
        self.orchestrator = orchestrator = Orchestrator(reactor, state, self.history)
        send = orchestrator.send

        def current() -> State:
            return orchestrator.state

        health = Health(reactor, spec.health.uri)
        self.versions = versions = Versions(
            reactor, engine, health, spec.name, spec.container, spec.health.ready_timeout
        )
        self.stopper = stopper = Stopper(reactor, engine, versions, spec.container.stop_timeout)
        versions.on_exit = lambda number, code: send(Exited(number, code))
        self.routes = routes = Routes(Firewall(reactor, environ, spec.name), ports)
        self.conntrack = conntrack = Conntrack(reactor, environ)
        self.reporter = reporter = Reporter(reactor, versions, routes, hooks, self.history, current)
        self.retention = retention = Retention(
            engine,
            versions,
            stopper,
            spec.retention.versions,
            self._retiring,
            self._newest_live,
            lambda number: send(Gone(number)),
        )
        drain = Drain(reactor, engine, conntrack, spec.handover.drain_after_settling)
        self.retirement = retirement = Retirement(
            reactor, versions, stopper, drain, retention, reporter, lambda number: current().role(number), send
        )
        removals = Removals(reactor, versions, stopper, routes, conntrack, reporter, send)
        handovers = Handovers(
            reactor,
            source,
            named,
            spec.handover.obtain_timeout,
            versions,
            stopper,
            routes,
            retirement,
            retention,
            removals,
            progress,
            hooks,
            reporter,
            current,
            send,
        )
        orchestrator.parts = Parts(
            adoption=Adoption(versions, routes, numbers, send),
            handovers=handovers,
            retirement=retirement,
            retention=retention,
            removals=removals,
            stopper=stopper,
            reporter=reporter,
            pause_file=paused,
            numbers=numbers,
        )
        self.reconciler = Reconciler(reactor, routes)
        self._liveness = Liveness(
            reactor, versions, spec.health, self.live, lambda number, reason: send(Unhealthy(number, reason))
        )

    def start(self) -> None:
        """Take over what an earlier run left, and begin."""
        self.orchestrator.start()
        self.reconciler.start()
        self._liveness.start()

    async def stop(self) -> None:
        """Stop the app; fires when no work is left.  See ``Orchestrator.stop``."""
        await self._liveness.stop()
        await self.orchestrator.stop()
        await self._hooks.close()
        await self.versions.stop_monitoring_all()
        await self.reconciler.stop()

    def live(self) -> list[Running]:
        """The live versions."""
        return self._running(Role.LIVE)

    def draining(self) -> list[Running]:
        """The versions that finish their connections."""
        return self._running(Role.DRAINING)

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
    )
