"""One version's life: created, running, ready, live, gone.

Each step has a type that only it makes: only ``wait_until_ready`` makes a ``Ready``, only the flip a ``Live``; an
order that is wrong does not type-check.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hanoverd.concurrency.polling import growing, pause
from hanoverd.edges.engine import Engine
from hanoverd.edges.health import Health
from hanoverd.errors import Conflict, EngineError, EngineUnreachable, HanoverdError, NameInUse, NotFound, VersionFailed
from hanoverd.model.container import APP, ContainerOptions, Image, Recipe, create_body
from hanoverd.model.durations import format_duration
from hanoverd.model.events import Party
from hanoverd.model.inspection import address_of, exposed_tcp_ports, loopback_ports_of, recipe_of, unhealthy
from hanoverd.model.names import kept_name, version_name
from hanoverd.readiness import Readiness, is_ready
from hanoverd.watch import Watch

log = Logger()

#: What Docker itself allows a container to end after its stop signal, in seconds.
DEFAULT_STOP_TIMEOUT = 10


@dataclass(frozen=True)
class Created:
    """A container that was created, of ``recipe``, and not started."""

    name: str
    id: str
    recipe: Recipe
    ports: tuple[int, ...]

    @property
    def image(self) -> Image:
        """What it runs."""
        return self.recipe.image


@dataclass(frozen=True)
class Running:
    """A container that was started: where it answers, and the eyes that are kept on it.

    ``loopback_ports`` maps its published ports to those of the engine's proxy on 127.0.0.1.
    """

    created: Created
    address: str
    loopback_ports: Mapping[int, int]
    watch: Watch = field(compare=False)

    @property
    def name(self) -> str:
        """The container's name."""
        return self.created.name


@dataclass(frozen=True)
class Ready:
    """A container whose health check has passed."""

    running: Running

    @property
    def name(self) -> str:
        """The container's name."""
        return self.running.name


@dataclass(frozen=True)
class Live:
    """The version that new connections are led to."""

    ready: Ready

    @property
    def name(self) -> str:
        """The container's name."""
        return self.ready.name

    @property
    def running(self) -> Running:
        """Its container."""
        return self.ready.running

    @property
    def party(self) -> Party:
        """What events call it."""
        return Party(self.name, self.running.created.id)


class Versions:
    """Makes the versions of one app, and unmakes them."""

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
        self._watches: dict[str, Watch] = {}
        self._addresses: dict[str, str] = {}
        self._deadline = math.inf

    def give_up_after(self, seconds: float) -> None:
        """From now on, insist for so long at the most where the engine does not answer."""
        self._deadline = self._clock.seconds() + seconds

    def name(self, number: int) -> str:
        """The name of version ``number``: fixed before the container exists, so that it can always be found."""
        return version_name(self.app, number)

    def recipe(self, image: Image) -> Recipe:
        """A version of ``image`` as the user wants it today."""
        return Recipe(image, self._options)

    async def recipe_of(self, found: Mapping[str, Any]) -> Recipe:
        """What a container, ``found`` by inspection, was made of; fails with the ``EngineError`` family."""
        try:
            image = await self._engine.inspect_image(found["Image"])
        except NotFound:  # Removed by force: what it says of itself has to do.
            image = {}
        return recipe_of(found, image)

    async def create(self, recipe: Recipe, number: int) -> Created:
        """Create the container of version ``number``.

        Fails with the ``EngineError`` family, ``NameInUse``, or ``VersionFailed`` where no port could ever
        show that it is ready.  After a failure or a cancel, other than ``NameInUse``, it may exist: ``remove`` it.
        """
        name, image = self.name(number), recipe.image
        ports = tuple(dict.fromkeys(recipe.options.ports)) or image.ports
        if not ports:
            raise VersionFailed(
                f"{name} failed: no port is published, and the image {image.name.reference} exposes none, so nothing "
                "can show that it is ready: publish the port that it serves with --publish"
            )
        try:
            container_id = await self._engine.create(name, create_body(self.app, number, name, recipe))
        except Conflict:
            raise NameInUse(
                f"{name} failed: a container of that name exists, and is not this hanoverd's: remove it "
                f"(`docker rm {name}`), or give the app another --name"
            ) from None
        return Created(name, container_id, recipe, ports)

    async def start(self, created: Created, *, again: bool = False) -> Running:
        """Start the container, and keep an eye on it from now on; ``again`` when it has run before.

        Fails with the ``EngineError`` family, or ``VersionFailed`` if it ended at once or cannot be reached.
        """
        await self.look_away(created.name)
        since = time.time() if again else None
        found = await self._engine.start(created.name)
        watch = self._watches[created.name] = Watch(self._clock, self._engine, created.name, created.name, since)
        if not found["State"]["Running"]:
            await watch.exit.wait()
            raise await self._exited(created.name, watch)
        address = self._addresses[created.name] = address_of(created.name, found)
        self._refuse_an_address_in_use(created.name, address)
        return Running(created, address, loopback_ports_of(found), watch)

    async def adopt(self, name: str) -> Running:
        """Keep an eye on a running container that an earlier hanoverd has started.

        Fails with the ``EngineError`` family, or with ``VersionFailed`` where it cannot be reached.
        """
        found = await self._engine.inspect_container(name)
        recipe = await self.recipe_of(found)
        address = self._addresses[name] = address_of(name, found)
        loopback_ports = loopback_ports_of(found)
        created = Created(name, found["Id"], recipe, tuple(loopback_ports) or exposed_tcp_ports(found["Config"]))
        watch = self._watches[name] = Watch(self._clock, self._engine, name, name, time.time())
        return Running(created, address, loopback_ports, watch)

    async def wait_until_ready(self, running: Running, within: float | None = None) -> Ready:
        """Probe the container rapidly until it is ready.

        Fails with ``VersionFailed`` when the container ends, at once, or is not ready ``within`` so many seconds (the
        status timeout, where none is given).
        """
        within = self._status_timeout if within is None else within
        readiness = Readiness(self._health, self._clock, running.address, running.created.ports)
        polling = Deferred.fromCoroutine(readiness.reached())
        exited = running.watch.exit.wait().addCallback(lambda _: polling.cancel())
        timer = self._clock.callLater(within, polling.cancel)
        try:
            await polling
        except CancelledError:
            if running.watch.exit.is_over:
                raise await self._exited(running.name, running.watch) from None
            if not timer.active():
                raise self._never_ready(running, readiness, within) from None
            raise
        finally:
            if timer.active():
                timer.cancel()
            exited.cancel()
            exited.addErrback(_forget)
        return Ready(running)

    async def complaint(self, running: Running) -> str | None:
        """Probe each port once, one after the other, and ask the engine: what is wrong with it, None if it would be ready,
        and the image's own HEALTHCHECK, if it has one, does not say otherwise.
        """
        probes = [await self._health.probe(running.address, port, lambda: None) for port in running.created.ports]
        if not is_ready(probes):
            return "; ".join(probe.said for probe in probes)
        try:
            return unhealthy(await self._engine.inspect_container(running.name))
        except EngineError:
            return None  # That is the engine's own trouble.

    async def wait_for_engine(self) -> None:
        """Fires when the engine answers, however long that takes; fails with the ``EngineError`` family where it never will,
        as it is not for us.  Cancel gives up.
        """
        await self._insist("still waiting for the engine", self._engine.negotiate)

    async def stop(self, name: str) -> None:
        """End the container by its stop signal, by SIGKILL after its stop timeout; idempotent.

        Fails with the ``EngineError`` family; with ``EngineUnreachable`` as ``give_up_after`` says, else never.  Cancel kills
        the container at once.
        """
        timeout = DEFAULT_STOP_TIMEOUT if self._options.stop_timeout is None else self._options.stop_timeout
        await self._insist(f"{name} is not stopped yet", lambda: self._engine.stop(name, timeout))

    async def put_away(self, name: str) -> None:
        """Have the container ``name``, which was stopped, wait under its kept name; fails with the ``EngineError`` family."""
        await self.look_away(name)
        await self._engine.rename(name, kept_name(name))

    async def remove(self, name: str) -> None:
        """Remove the container ``name``, whatever state it is in, if it is there and this app's own.

        Fails with the ``EngineError`` family; with ``EngineUnreachable`` as ``give_up_after`` says, else never.  Cancel gives
        up.
        """
        try:
            await self._insist(f"{name} is not removed yet", lambda: self._engine.remove_if(name, APP, self.app))
        finally:
            await self.look_away(name)

    async def remove_or_tell(self, name: str) -> bool:
        """As ``remove``, but never fails: whether it is gone; what stood in the way, a cancel too, is logged."""
        try:
            await self.remove(name)
        except (CancelledError, HanoverdError) as error:
            log.error(
                "{name} could not be removed{why}: remove it by `docker rm -f -v {name}`",
                name=name,
                why=f" ({error})" if str(error) else "",
            )
            return False
        return True

    async def _insist(self, complaint: str, verb: Callable[[], Coroutine[Deferred[Any], Any, object]]) -> None:
        """Do ``verb`` until the engine, which may be away for a moment, has answered."""
        told = False
        for wait in growing(0.1, 5.0, 2.0):
            try:
                await verb()
            except EngineUnreachable as error:
                if self._clock.seconds() >= self._deadline:
                    raise
                if not told:
                    log.warn("{complaint}: {error}", complaint=complaint, error=error)
                told = True
                await pause(self._clock, wait)
            else:
                return

    def _refuse_an_address_in_use(self, name: str, address: str) -> None:
        # An engine that crashed and left its containers running (live-restore) may forget what it gave them: then
        # it would be the old version that says that the new one is ready.
        for other, watch in self._watches.items():
            if other != name and not watch.exit.is_over and self._addresses.get(other) == address:
                raise VersionFailed(
                    f"{name} failed: the engine gave it the address {address}, which {other} has: the engine has lost "
                    f"track of its addresses. Stop hanoverd and start it again: {other} then ends first"
                )

    async def look_away_from_all(self) -> None:
        """Leave the containers to themselves: fires when nobody watches any of them."""
        for name in list(self._watches):
            await self.look_away(name)

    async def look_away(self, name: str) -> None:
        """Leave a container to itself; idempotent."""
        watch = self._watches.pop(name, None)
        self._addresses.pop(name, None)
        if watch is not None:
            await watch.close()

    async def _exited(self, name: str, watch: Watch) -> VersionFailed:
        reason, output = await self.describe_exit(name, watch)
        return VersionFailed(f"{name} failed: it {reason} before it was ready{output}")

    async def describe_exit(self, name: str, watch: Watch) -> tuple[str, str]:
        """How a container has ended, for people: "exited with code 3", and "; its last 2 lines: …"."""
        await watch.all_output()
        try:
            state = (await self._engine.inspect_container(name))["State"]
        except EngineError:
            state = {}
        reason = f"exited with code {watch.exit.get()}"
        if state.get("OOMKilled"):
            reason += ", killed for want of memory (out of memory): give it more, or mend what uses so much"
        if state.get("Error"):
            reason += f" ({state['Error']})"
        return reason, _quoted(watch)

    def _never_ready(self, running: Running, readiness: Readiness, within: float) -> VersionFailed:
        created = running.created
        hint = ""
        if created.image.ports and not set(created.ports) <= set(created.image.ports):
            hint = f" (the image exposes {', '.join(map(str, created.image.ports))})"
        return VersionFailed(
            f"{created.name} failed: it was not ready within the status timeout of "
            f"{format_duration(within)}, after {readiness.probes} probes; the last at "
            f"{running.address}: {readiness.describe()}{hint}{_quoted(running.watch)}"
        )


def _forget(failure: Failure) -> None:
    failure.trap(CancelledError)


def _quoted(watch: Watch) -> str:
    lines = watch.tail
    if not lines:
        return "; it printed nothing"
    return f"; its last {len(lines)} lines:" + "".join(f"\n    {line}" for line in lines)
