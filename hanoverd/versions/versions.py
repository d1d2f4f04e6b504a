"""The versions of one app: creates, starts and adopts their containers, waits until they are ready, and monitors them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hanoverd.docker.engine import Engine, image_of
from hanoverd.docker.inspection import (
    created_at,
    exposed_tcp_ports,
    generation_of,
    proxy_ports_of,
    recipe_of,
    requested_recipe,
)
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import (
    Conflict,
    EngineRefused,
    NameInUse,
    NotFound,
    VersionFailed,
)
from hanoverd.runtime.ipv6 import has_ipv6
from hanoverd.spec.container import ContainerSpec, Image, Recipe, app_label, create_body
from hanoverd.spec.names import version_name
from hanoverd.spec.ports import LOOPBACK_IPV6, MOST_EXPOSED, ContainerPort, Protocol
from hanoverd.spec.run.streams import OUTPUT, Stream
from hanoverd.versions.checks import Checks
from hanoverd.versions.failures import describe_exit, exit_error, not_ready_error
from hanoverd.versions.location import Location, locate
from hanoverd.versions.monitor import LAST_OUTPUT_WITHIN, ContainerMonitor
from hanoverd.versions.version import Container, Created, IPv6Side, Ready, Running


class Versions:
    """The versions of one app.

    ``options`` returns what the user asks of a container now; it fails with ``InputFileFailed``.
    ``last_output_within`` is in seconds; see ``ContainerMonitor``.
    """

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        checks: Checks,
        app: str,
        options: Callable[[], ContainerSpec],
        last_output_within: float = LAST_OUTPUT_WITHIN,
        streams: Collection[Stream] = OUTPUT,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._checks = checks
        self.app = app
        self._options = options
        self._last_output_within = last_output_within
        self._streams = streams
        self._running: dict[int, Running] = {}
        #: Whether containers in a network have IPv6 addresses.
        self._ipv6_networks: dict[str, bool] = {}
        #: The containers that the engine listed last, by their versions' numbers.
        self._listed: dict[int, Container] = {}
        #: Called with the number and the exit code of a monitored version that has exited.
        self.on_exit: Callable[[int, int], object] = lambda _number, _code: None

    def new_container(self, number: int) -> Container:
        """Return the container that version ``number`` will have: its name is fixed before it exists, so that it can be found
        after a lost reply.
        """
        return Container(number, version_name(self.app, number))

    def container(self, number: int) -> Container:
        """Return the container of version ``number``, with its ID if that is known."""
        running = self._running.get(number)
        if running is not None:
            return running.container
        return self._listed.get(number) or self.new_container(number)

    def recipe(self, image: Image) -> Recipe:
        """Return the recipe of a version of ``image`` with the current options; fails with ``InputFileFailed``."""
        return Recipe(image, self._options())

    async def recipe_of(self, found: Mapping[str, Any]) -> Recipe:
        """Return what a container was created from; ``found`` is its inspection.  Fails with the ``EngineError`` family."""
        return recipe_of(found, await image_of(self._engine, found))

    async def requested_recipe(self, running: Running) -> Recipe:
        """Return what a running version was created from, with its settings as they were requested.

        Fails with the ``EngineError`` family: with ``NotFound`` if its container or its image was removed.
        """
        found = await self._engine.inspect_container(running.container.ref)
        return requested_recipe(found, await self._engine.inspect_image(found["Image"]))

    def running(self, number: int) -> Running | None:
        """Return the version ``number`` if it is monitored."""
        return self._running.get(number)

    async def create(self, recipe: Recipe, number: int) -> Created:
        """Create the container of version ``number``.

        Fails with the ``EngineError`` family (``NotFound`` where the image is gone), ``NameInUse`` where another container
        has its name, or ``VersionFailed`` where no port could ever show that it is ready.  After a failure or a cancel, other
        than ``NameInUse``, it may exist: remove it.
        """
        container, image = self.new_container(number), recipe.image
        if recipe.lineage.origin is None:
            recipe = replace(recipe, lineage=replace(recipe.lineage, origin=number))
        self._listed.pop(number, None)
        ports = _tcp(recipe.options.ports) or self._exposed_ports(image, recipe.options.ports)
        try:
            container_id = await self._engine.create(
                container.name,
                create_body(self.app, number, container.name, recipe, with_ipv6=await self._has_ipv6(recipe.options)),
                recipe.options.platform,
            )
        except Conflict as error:
            next_number = await self._free_number(number)
            if next_number == number:
                raise VersionFailed(str(error)) from None
            raise NameInUse(container.name, next_number) from None
        container = replace(container, id=container_id)
        await self._checks.check_created(container)
        return Created(container, recipe, ports, time.time())

    async def _has_ipv6(self, options: ContainerSpec) -> bool:
        """Return whether a container will have an IPv6 address.  The engine is asked once for each network."""
        network = options.network
        if not options.ports or not options.reachability.is_routed or not has_ipv6():
            return False
        if network not in self._ipv6_networks:
            try:
                self._ipv6_networks[network] = await self._engine.network_has_ipv6(network)
            except EngineRefused:
                # A network that is missing is reported, in the engine's words, when the container is created.  And a proxy
                # before the engine may forbid the question: clients over IPv6 are relayed then.
                return False
        return self._ipv6_networks[network]

    def _exposed_ports(self, image: Image, published: Collection[ContainerPort]) -> tuple[ContainerPort, ...]:
        return _probed_ports(image, published) if self._checks.needs_exposed_ports else ()

    async def _free_number(self, number: int) -> int:
        """Return the first number, from ``number`` on, whose name no container has; fails with the ``EngineError`` family."""
        while True:
            try:
                await self._engine.inspect_container(self.new_container(number).name)
            except NotFound:
                return number
            number += 1

    async def start(self, created: Created, *, again: bool = False) -> Running:
        """Start the container, and monitor it; ``again``: it has run before.

        Fails with the ``EngineError`` family, or with ``VersionFailed`` if it exited at once or cannot be reached.
        """
        container = created.container
        await self.stop_monitoring(container.number)
        await self._check_shared_ports(created)
        since = time.time() if again else None
        found = await self._engine.start(container.ref)
        monitor = self._new_monitor(container, since)
        if not found["State"]["Running"]:
            try:
                await monitor.exit.wait()
                raise await exit_error(self._engine, container, monitor)
            finally:
                await monitor.close()
        try:
            location = await locate(self._engine, found)
            self._check_address(container, location)
        except Exception:  # A cancel is an Exception too.
            await monitor.close()
            raise
        return self._register(created, found, location, monitor)

    async def adopt(self, container: Container, address: str | None = None) -> Running:
        """Monitor a running container that an earlier hanoverd has started.

        ``address`` is used if it is one of its addresses; see ``locate``.  Fails with the ``EngineError`` family, or with
        ``VersionFailed`` where it cannot be reached.
        """
        await self.stop_monitoring(container.number, keeps_running=True)
        found = await self._engine.inspect_container(container.ref)
        recipe = await self.recipe_of(found)
        location = await locate(self._engine, found, address)
        container = replace(container, id=found["Id"])
        ports = _tcp(recipe.options.ports)
        if not ports and self._checks.needs_exposed_ports:
            ports = exposed_tcp_ports(found["Config"])
        created = Created(container, recipe, ports, created_at(found))
        return self._register(created, found, location, self._new_monitor(container, time.time()))

    def _new_monitor(self, container: Container, since: float | None) -> ContainerMonitor:
        return ContainerMonitor(
            self._clock, self._engine, container.ref, container.name, since, self._last_output_within, self._streams
        )

    def _register(
        self, created: Created, found: Mapping[str, Any], location: Location, monitor: ContainerMonitor
    ) -> Running:
        """Return a running version, whose exit is reported from now on; ``found`` is the container's inspection."""
        ipv6 = None
        if location.address6:
            ipv6 = IPv6Side(location.address6, location.network6, proxy_ports_of(found, LOOPBACK_IPV6))
        running = Running(
            created,
            location.address,
            location.addresses,
            proxy_ports_of(found),
            monitor,
            location.network,
            ipv6,
            found["State"].get("Pid") or 0,
        )
        self._running[running.number] = running
        monitor.exit.wait().addCallback(lambda _: self._exit_seen(running))
        return running

    def _exit_seen(self, running: Running) -> None:
        if self._running.get(running.number) is running:
            self.on_exit(running.number, running.monitor.exit.get())

    async def wait_until_ready(self, running: Running, seconds: float | None = None) -> Ready:
        """Check the container in quick succession until it is ready.

        Fails with ``VersionFailed`` as soon as the container exits or can no longer become ready, or when it is not ready
        within ``seconds`` (by default the app's limit), and with the ``EngineError`` family.
        """
        seconds = self._checks.ready_timeout if seconds is None else seconds
        readiness = self._checks.readiness(running)
        polling = Deferred.fromCoroutine(readiness.wait())
        exited = running.monitor.exit.wait().addCallback(lambda _: polling.cancel())
        try:
            await within(self._clock, seconds, polling)
        except (CancelledError, TimedOut) as error:
            if running.has_exited:
                raise await self.exit_error(running) from None
            if isinstance(error, TimedOut):
                tail = await running.monitor.recent_output()
                raise not_ready_error(readiness.describe(), seconds, tail) from None
            raise
        finally:
            exited.cancel()
            exited.addErrback(_forget)
        return Ready(running)

    async def failure_reason(self, running: Running) -> str | None:
        """Check a live version once; return why it is not healthy, or None."""
        return await self._checks.failure_reason(running)

    async def _check_shared_ports(self, created: Created) -> None:
        """Raise ``VersionFailed`` if a port that the container will share with others answers before it is started.

        Another program would then answer the readiness check.
        """
        if not created.recipe.options.reachability.shares_ports:
            return
        location = await locate(self._engine, await self._engine.inspect_container(created.container.ref))
        port = await self._checks.port_in_use(created, location.address)
        if port is not None:
            raise VersionFailed(
                f"port {port} at {location.address} is in use, and it shares this address: stop the program that listens "
                "there, or let the app listen on another port"
            )

    def _check_address(self, container: Container, location: Location) -> None:
        """Raise ``VersionFailed`` if another running version has this address.

        An engine that crashed while its containers kept running (live-restore) may assign an address twice.  The old
        version would then answer the readiness check of the new one.
        """
        for other in self._running.values():
            shared = {*location.addresses} & {*other.addresses}
            if other.number != container.number and not other.has_exited and shared:
                raise VersionFailed(
                    f"the engine assigned it the address {min(shared)}, which {other.name} has: the "
                    "engine has lost track of its addresses. Stop hanoverd, which stops the old version, and start it again"
                )

    async def stop_monitoring_all(self) -> None:
        """Stop monitoring all versions, whose containers keep running."""
        for number in list(self._running):
            await self.stop_monitoring(number, keeps_running=True)

    async def stop_monitoring(self, number: int, *, keeps_running: bool = False) -> None:
        """Stop monitoring a version, after its last output unless it ``keeps_running``.  Idempotent."""
        running = self._running.pop(number, None)
        if running is not None:
            await (running.monitor.detach() if keeps_running else running.monitor.close())

    async def exit_error(self, running: Running) -> VersionFailed:
        """Return the error for a version that exited before it was live."""
        return await exit_error(self._engine, running.container, running.monitor)

    async def describe_exit(self, running: Running) -> tuple[str, str]:
        """Return how a version has exited, and its last output; see ``failures.describe_exit``."""
        return await describe_exit(self._engine, running.container, running.monitor)

    async def listed(self) -> list[tuple[Container, Mapping[str, Any]]]:
        """Return all containers of the app, each with its entry in the engine's list.

        Fails with the ``EngineError`` family.
        """
        listed = [(_container(one), one) for one in await self._engine.containers_with(app_label(self.app))]
        self._listed = {container.number: container for container, _ in listed}
        return listed


def _tcp(ports: Iterable[ContainerPort]) -> tuple[ContainerPort, ...]:
    """Return the ports that can be probed: a UDP port answers nothing that shows that it is ready."""
    return tuple(dict.fromkeys(port for port in ports if port.protocol is Protocol.TCP))


def _probed_ports(image: Image, published: Collection[ContainerPort]) -> tuple[ContainerPort, ...]:
    """Return the ports of an image to probe if no TCP port is published; VersionFailed for none, or too many."""
    if not image.ports and published:
        raise VersionFailed(
            f"only UDP ports are published, and the image {image.name.reference} exposes no TCP port, so nothing can show "
            "that it is ready: let the app answer --status-uri on a TCP port as well, and EXPOSE it in the image or publish it; "
            "or choose --status-kind docker or none"
        )
    if not image.ports:
        raise VersionFailed(
            f"no port is published, and the image {image.name.reference} exposes none, so "
            "nothing can show that it is ready: publish the port that it serves with --publish, or choose another --status-kind"
        )
    if len(image.ports) > MOST_EXPOSED:
        raise VersionFailed(
            f"no port is published, and the image {image.name.reference} exposes more than {MOST_EXPOSED} TCP ports, which "
            "are too many to probe: publish the port that it serves with --publish"
        )
    return image.ports


def _forget(failure: Failure) -> None:
    failure.trap(CancelledError)


def _container(listed: Mapping[str, Any]) -> Container:
    return Container(generation_of(listed["Labels"]), str(listed["Names"][0]).lstrip("/"), listed["Id"])
