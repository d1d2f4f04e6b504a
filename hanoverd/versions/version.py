"""One version's life: created, running, ready, live, gone.

Each step has a type that only it makes: only ``wait_until_ready`` makes a ``Ready``, only the flip a ``Live``; an
order that is wrong does not type-check.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import (
    address_of,
    addresses_of,
    exposed_tcp_ports,
    generation_of,
    proxy_ports_of,
    recipe_of,
    unhealthy,
)
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.clock import TimedOut, settles_within, within
from hanoverd.runtime.errors import (
    Conflict,
    EngineError,
    EngineRefused,
    EngineUnreachable,
    HanoverdError,
    NameInUse,
    NotFound,
    VersionFailed,
)
from hanoverd.spec.container import APP, ContainerOptions, Image, Recipe, app_label, create_body
from hanoverd.spec.events import VersionReference
from hanoverd.spec.names import kept_name, version_name
from hanoverd.spec.ports import ContainerPort, HostPort, Protocol
from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration
from hanoverd.versions.health import Health
from hanoverd.versions.monitor import ContainerMonitor
from hanoverd.versions.readiness import Readiness, is_ready

log = Logger()

#: What Docker itself allows a container to end after its stop signal, in seconds.
DEFAULT_STOP_TIMEOUT = 10

#: How long the exit of a container may take to be seen after the engine has said that it is stopped, in seconds.
EXIT_SEEN_WITHIN = 5.0

#: The waits between two requests to an engine that is away.
BACKOFF = Backoff(first=0.1, longest=5.0)

#: From this HTTP status on, an answer says that the engine, or a proxy before it, could not do its part (RFC 9110, 15.6);
#: and how long such answers are taken for a passing trouble, in seconds.
_SERVER_ERROR, REFUSED_WITHIN = 500, 5.0


@dataclass(frozen=True)
class Container:
    """A version's container, by its ``number``.  The engine is asked by ``id``, which no rename changes; it is "" as long as
    the engine has not answered that it has created it.
    """

    number: int
    name: str
    id: str = ""

    @property
    def ref(self) -> str:
        """What the engine is asked by."""
        return self.id or self.name

    @property
    def version_reference(self) -> VersionReference:
        """What events call it."""
        return VersionReference(self.name, self.id)


@dataclass(frozen=True)
class Created:
    """A container that was created, of ``recipe``, and not started."""

    container: Container
    recipe: Recipe
    ports: tuple[ContainerPort, ...]

    @property
    def name(self) -> str:
        """The container's name."""
        return self.container.name

    @property
    def port_numbers(self) -> list[int]:
        """The numbers of the TCP ports that are probed."""
        return [port.number for port in self.ports if port.protocol is Protocol.TCP]

    @property
    def image(self) -> Image:
        """What it runs."""
        return self.recipe.image


@dataclass(frozen=True)
class Running:
    """A container that was started: where it answers, and its monitor.

    ``addresses`` are all its IPv4 addresses, one for each of its networks, ``address`` the one that is probed and routed
    to.  ``proxy_ports`` maps its published ports to those where the engine's proxy listens.
    """

    created: Created
    address: str
    addresses: tuple[str, ...]
    proxy_ports: Mapping[ContainerPort, HostPort]
    monitor: ContainerMonitor = field(compare=False)

    @property
    def container(self) -> Container:
        """Its container."""
        return self.created.container

    @property
    def number(self) -> int:
        """Its version's number."""
        return self.container.number

    @property
    def name(self) -> str:
        """The container's name."""
        return self.container.name

    @property
    def has_exited(self) -> bool:
        """Whether it does not run any more."""
        return self.monitor.exit.is_settled


@dataclass(frozen=True)
class Ready:
    """A container whose readiness check has passed."""

    running: Running

    @property
    def name(self) -> str:
        """The container's name."""
        return self.running.name


class Versions:
    """Creates, starts, checks, stops and removes the containers of one app, and monitors those that run."""

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        health: Health,
        app: str,
        options: ContainerOptions,
        status_timeout: float,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._health = health
        self.app = app
        self._options = options
        self._status_timeout = status_timeout
        self._running: dict[int, Running] = {}
        self._deadline = math.inf
        #: Called with a version's number and exit code when its container has exited, and is monitored.
        self.on_exit: Callable[[int, int], object] = lambda _number, _code: None

    def give_up_after(self, seconds: float) -> None:
        """From now on, insist for so long at the most where the engine does not answer."""
        self._deadline = self._clock.seconds() + seconds

    def container(self, number: int) -> Container:
        """The container of version ``number``: its name is fixed before it exists, so that it can always be found."""
        return Container(number, version_name(self.app, number))

    def recipe(self, image: Image) -> Recipe:
        """A version of ``image`` as the user wants it today."""
        return Recipe(image, self._options)

    async def recipe_of(self, found: Mapping[str, Any]) -> Recipe:
        """What a container, ``found`` by inspection, was made from; fails with the ``EngineError`` family."""
        try:
            image = await self._engine.inspect_image(found["Image"])
        except NotFound:  # Removed by force: what the container itself holds has to do.
            image = {}
        return recipe_of(found, image)

    def running(self, number: int) -> Running | None:
        """The version ``number``, if it is monitored."""
        return self._running.get(number)

    async def create(self, recipe: Recipe, number: int) -> Created:
        """Create the container of version ``number``.

        Fails with the ``EngineError`` family (``NotFound`` where the image is gone), ``NameInUse``, or ``VersionFailed``
        where no port could ever show that it is ready.  After a failure or a cancel, other than ``NameInUse``, it may
        exist: ``remove`` it.
        """
        container, image = self.container(number), recipe.image
        ports = tuple(dict.fromkeys(recipe.options.ports)) or image.ports
        if not ports:
            raise VersionFailed(
                f"no port is published, and the image {image.name.reference} exposes none, so "
                "nothing can show that it is ready: publish the port that it serves with --publish"
            )
        try:
            container_id = await self._engine.create(
                container.name, create_body(self.app, number, container.name, recipe)
            )
        except Conflict:
            raise NameInUse(
                f"a container named {container.name} exists, and is not this hanoverd's: remove it "
                f"(`docker rm {container.name}`), or give the app another --name"
            ) from None
        return Created(replace(container, id=container_id), recipe, ports)

    async def start(self, created: Created, *, again: bool = False) -> Running:
        """Start the container, and monitor it from now on; ``again`` when it has run before.

        Fails with the ``EngineError`` family, or ``VersionFailed`` if it exited at once or cannot be reached.
        """
        container = created.container
        await self.stop_monitoring(container.number)
        since = time.time() if again else None
        found = await self._engine.start(container.ref)
        monitor = ContainerMonitor(self._clock, self._engine, container.ref, container.name, since)
        if not found["State"]["Running"]:
            try:
                await monitor.exit.wait()
                raise await self._exited(container, monitor)
            finally:
                await monitor.close()
        try:
            address = address_of(found)
            self._refuse_an_address_in_use(container, address)
        except VersionFailed:
            await monitor.close()
            raise
        return self._monitor(Running(created, address, addresses_of(found), proxy_ports_of(found), monitor))

    async def adopt(self, container: Container, address: str | None = None) -> Running:
        """Monitor a running container that an earlier hanoverd has started; ``address`` is the one to be used, if it has
        several.

        Fails with the ``EngineError`` family, or with ``VersionFailed`` where it cannot be reached.
        """
        await self.stop_monitoring(container.number, keeps_running=True)
        found = await self._engine.inspect_container(container.ref)
        recipe = await self.recipe_of(found)
        addresses = addresses_of(found)
        used = address if address in addresses else address_of(found)
        proxy_ports = proxy_ports_of(found)
        created = Created(
            replace(container, id=found["Id"]), recipe, tuple(proxy_ports) or exposed_tcp_ports(found["Config"])
        )
        monitor = ContainerMonitor(self._clock, self._engine, found["Id"], container.name, time.time())
        return self._monitor(Running(created, used, addresses, proxy_ports, monitor))

    def _monitor(self, running: Running) -> Running:
        self._running[running.number] = running
        running.monitor.exit.wait().addCallback(lambda _: self._exit_seen(running))
        return running

    def _exit_seen(self, running: Running) -> None:
        if self._running.get(running.number) is running:
            self.on_exit(running.number, running.monitor.exit.get())

    async def wait_until_ready(self, running: Running, seconds: float | None = None) -> Ready:
        """Probe the container rapidly until it is ready.

        Fails with ``VersionFailed`` when the container exits, at once, or is not ready within ``seconds`` (by default
        the status timeout).
        """
        seconds = self._status_timeout if seconds is None else seconds
        readiness = Readiness(self._health, self._clock, running.address, running.created.port_numbers)
        polling = Deferred.fromCoroutine(readiness.reached())
        exited = running.monitor.exit.wait().addCallback(lambda _: polling.cancel())
        try:
            await within(self._clock, seconds, polling)
        except (CancelledError, TimedOut) as error:
            if running.has_exited:
                raise await self.exited(running) from None
            if isinstance(error, TimedOut):
                raise self._never_ready(running, readiness, seconds) from None
            raise
        finally:
            exited.cancel()
            exited.addErrback(_forget)
        return Ready(running)

    async def failure_reason(self, running: Running) -> str | None:
        """Probe each port once, one after the other, and ask the engine: why it is not healthy, None if it is ready and the
        image's own HEALTHCHECK, if it has one, does not contradict.
        """
        probes = [
            await self._health.probe(running.address, port, lambda: None) for port in running.created.port_numbers
        ]
        if not is_ready(probes):
            return "; ".join(probe.said for probe in probes)
        try:
            return unhealthy(await self._engine.inspect_container(running.container.ref))
        except EngineError:
            return None  # That is the engine's own trouble.

    async def wait_for_engine(self) -> None:
        """Fires when the engine answers, however long that takes; fails with the ``EngineError`` family where it never will,
        as for want of permission.  Cancel gives up.
        """
        await self._insist(f"{self.app}: waiting for the engine", self._engine.negotiate)

    async def stop(self, container: Container) -> None:
        """Stop the container by its stop signal, by SIGKILL after its stop timeout; idempotent.

        Fails with the ``EngineError`` family; with ``EngineUnreachable`` as ``give_up_after`` says, else never.  Cancel kills
        the container at once.
        """
        timeout = DEFAULT_STOP_TIMEOUT if self._options.stop_timeout is None else self._options.stop_timeout
        await self._insist(f"{container.name}: not stopped yet", lambda: self._engine.stop(container.ref, timeout))

    async def stop_and_wait(self, running: Running) -> None:
        """As ``stop``, and fires when the exit was seen: until then the container seems to run.

        A cancel kills the container, and is raised when its exit was seen.
        """
        try:
            await self.stop(running.container)
        finally:
            await shielded(Deferred.fromCoroutine(settles_within(self._clock, EXIT_SEEN_WITHIN, running.monitor.exit)))

    async def rename_to_kept(self, container: Container) -> None:
        """Rename the container, which was stopped, to its kept name; fails with the ``EngineError`` family."""
        await self.stop_monitoring(container.number)
        await self._engine.rename(container.ref, kept_name(container.name))

    async def remove(self, container: Container) -> None:
        """Remove the container, whatever state it is in, if it is there and this app's own.

        Fails with the ``EngineError`` family; with ``EngineUnreachable`` as ``give_up_after`` says, else never.  Cancel gives
        up.
        """
        try:
            await self._insist(
                f"{container.name}: not removed yet", lambda: self._engine.remove_if(container.ref, APP, self.app)
            )
        finally:
            await self.stop_monitoring(container.number)

    async def remove_or_log(self, container: Container) -> bool:
        """As ``remove``, but never fails: whether it is gone; what stood in the way, a cancel too, is logged."""
        try:
            await self.remove(container)
        except (CancelledError, HanoverdError) as error:
            log.error(
                "{version}: cannot be removed{why}: remove it with `docker rm -f -v {container}`",
                event="remove_failed",
                version=container.name,
                container=container.ref,
                error=error,
                why=f" ({error})" if str(error) else "",
            )
            return False
        return True

    async def _insist(self, problem: str, verb: Callable[[], Coroutine[Deferred[Any], Any, object]]) -> None:
        """Do ``verb`` until the engine, which may be away for a moment, has answered."""
        is_logged = False
        refused_until = self._clock.seconds() + REFUSED_WITHIN

        def before_sleep(error: EngineError, _delay: float) -> None:
            nonlocal is_logged
            if isinstance(error, EngineUnreachable) and self._clock.seconds() < self._deadline:
                if not is_logged:
                    log.warn("{problem}: {error}; retrying", event="engine_waiting", problem=problem, error=error)
                is_logged = True
                return
            # A proxy before the engine, or an engine that starts or stops, answers 5xx for a moment.
            is_server_error = isinstance(error, EngineRefused) and error.status >= _SERVER_ERROR
            if not is_server_error or self._clock.seconds() >= min(self._deadline, refused_until):
                raise error

        await retry(self._clock, BACKOFF, verb, on=EngineError, before_sleep=before_sleep)

    def _refuse_an_address_in_use(self, container: Container, address: str) -> None:
        # An engine that crashed and left its containers running (live-restore) may forget what it gave them: then
        # it would be the old version that says that the new one is ready.
        for other in self._running.values():
            if other.number != container.number and not other.has_exited and address in other.addresses:
                raise VersionFailed(
                    f"the engine gave it the address {address}, which {other.name} has: the "
                    f"engine has lost track of its addresses. Stop hanoverd and start it again: {other.name} then ends "
                    "first"
                )

    async def stop_monitoring_all(self) -> None:
        """Leave the containers, which run on, to themselves: fires when none of them is monitored."""
        for number in list(self._running):
            await self.stop_monitoring(number, keeps_running=True)

    async def stop_monitoring(self, number: int, *, keeps_running: bool = False) -> None:
        """Do not monitor a version any longer; idempotent.  The last output of one that does not run on is waited for."""
        running = self._running.pop(number, None)
        if running is not None:
            await (running.monitor.detach() if keeps_running else running.monitor.close())

    async def exited(self, running: Running) -> VersionFailed:
        """The error for a version that exited before it was live."""
        return await self._exited(running.container, running.monitor)

    async def _exited(self, container: Container, monitor: ContainerMonitor) -> VersionFailed:
        reason, output = await self.describe_exit(container, monitor)
        return VersionFailed(f"{reason} before it was ready{output}")

    async def describe_exit(self, container: Container, monitor: ContainerMonitor) -> tuple[str, str]:
        """How a container has exited, for people: "exited with code 3", and "; its last 2 lines: …"."""
        await monitor.wait_for_output()
        try:
            state = (await self._engine.inspect_container(container.ref))["State"]
        except EngineError:
            state = {}
        reason = f"exited with code {monitor.exit.get()}"
        if state.get("OOMKilled"):
            reason += " (out of memory: raise its limit, or reduce what it uses)"
        if state.get("Error"):
            reason += f" ({state['Error']})"
        return reason, _quoted(monitor)

    async def listed(self) -> list[tuple[Container, Mapping[str, Any]]]:
        """All containers of the app's versions that the engine has, each with what its list says; fails with the
        ``EngineError`` family.
        """
        found = await self._engine.containers_with(app_label(self.app))
        return [(_container(one), one) for one in found]

    def _never_ready(self, running: Running, readiness: Readiness, within: float) -> VersionFailed:
        created = running.created
        hint = ""
        if created.image.ports and not set(created.ports) <= set(created.image.ports):
            hint = f" (the image exposes {', '.join(str(port.number) for port in created.image.ports)})"
        return VersionFailed(
            f"not ready within the status timeout of "
            f"{format_duration(within)}, after {counted(readiness.probes, 'probe')}; the last at "
            f"{running.address}: {readiness.describe()}{hint}{_quoted(running.monitor)}"
        )


def _forget(failure: Failure) -> None:
    failure.trap(CancelledError)


def _quoted(monitor: ContainerMonitor) -> str:
    lines = monitor.tail
    if not lines:
        return "; it printed nothing"
    last = "its last line" if len(lines) == 1 else f"its last {len(lines)} lines"
    return f"; {last}:" + "".join(f"\n    {line}" for line in lines)


def _container(listed: Mapping[str, Any]) -> Container:
    return Container(generation_of(listed["Labels"]), str(listed["Names"][0]).lstrip("/"), listed["Id"])
