"""How the versions of one app are checked: when they start, and while they are live."""

from __future__ import annotations

from collections.abc import Mapping

from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import has_healthcheck, healthcheck_failure
from hanoverd.runtime.errors import EngineError, NotFound, VersionFailed
from hanoverd.spec.health import HealthSpec, StatusKind
from hanoverd.versions.connect_race import ConnectReactor
from hanoverd.versions.engine_readiness import HealthcheckReadiness, RunningReadiness, no_healthcheck
from hanoverd.versions.failures import exposed_ports_hint
from hanoverd.versions.health import Health
from hanoverd.versions.probe import Prober
from hanoverd.versions.readiness import PortReadiness, Readiness, is_ready
from hanoverd.versions.tcp_probe import TCPProbe
from hanoverd.versions.version import Container, Created, Running


class Checks:
    """Checks versions as ``spec`` says."""

    def __init__(self, reactor: ConnectReactor, engine: Engine, spec: HealthSpec) -> None:
        self._reactor = reactor
        self._engine = engine
        self._probe = spec.probe
        self._prober: Prober = Health(reactor, spec.probe) if spec.probe.kind.sends_requests else TCPProbe(reactor)
        self._accepts = TCPProbe(reactor, keeps_for=0)
        # A port that is named must succeed, whatever the others do.
        self._needs_all = spec.probe.kind is StatusKind.TCP or spec.probe.port is not None
        #: The time limit for a new version to be ready, in seconds.
        self.ready_timeout = spec.ready_timeout

    @property
    def needs_exposed_ports(self) -> bool:
        """Whether the ports that the image exposes are probed where none is published."""
        return self._probe.kind.probes_ports and self._probe.port is None

    async def check_created(self, container: Container) -> None:
        """Fail with ``VersionFailed`` if a container that was created can never be ready, or with the ``EngineError`` family."""
        if self._probe.kind is not StatusKind.DOCKER:
            return
        try:
            found = await self._engine.inspect_container(container.ref)
        except NotFound:
            raise VersionFailed("its container was removed before it was started") from None
        if not has_healthcheck(found):
            raise no_healthcheck()

    def readiness(self, running: Running) -> Readiness:
        """Return the check that waits until a version is ready."""
        if self._probe.kind is StatusKind.DOCKER:
            return HealthcheckReadiness(self._reactor, self._engine, running, self._probe.interval)
        if self._probe.kind is StatusKind.NONE:
            return RunningReadiness(self._reactor)
        return PortReadiness(
            self._reactor,
            running.address,
            self._probers(running.created),
            needs_all=self._needs_all,
            interval=self._probe.interval,
            successes=self._probe.successes,
            hint=exposed_ports_hint(running.created),
        )

    async def failure_reason(self, running: Running) -> str | None:
        """Probe each port once and look at its HEALTHCHECK; return why the version is not healthy, or None."""
        if self._probe.kind.probes_ports:
            results = [
                await prober.probe(running.address, port, lambda: None)
                for port, prober in self._probers(running.created).items()
            ]
            if not is_ready(results, needs_all=self._needs_all):
                return "; ".join(result.summary for result in results)
        try:
            return healthcheck_failure(await self._engine.inspect_container(running.container.ref))
        except EngineError:
            return None  # The error is about the engine, not about the version.

    async def port_in_use(self, created: Created, address: str) -> int | None:
        """Return the first of a version's ports that accepts connections at ``address``; None if none does."""
        for port in self._probers(created):
            if (await self._accepts.probe(address, port, lambda: None)).accepts:
                return port
        return None

    def _probers(self, created: Created) -> Mapping[int, Prober]:
        numbers = created.port_numbers
        if self._probe.port is None:
            return dict.fromkeys(numbers, self._prober)
        return {**dict.fromkeys(numbers, self._accepts), self._probe.port: self._prober}
