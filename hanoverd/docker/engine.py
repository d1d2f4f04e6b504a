"""The Docker engine by Deferreds: each request of ``BlockingEngine`` runs in a thread of a pool."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.api import BuildRequest, Login, OnEvent, choose_api_version
from hanoverd.docker.blocking_engine import BlockingEngine
from hanoverd.docker.event_stream import EventStream
from hanoverd.docker.pools import Pools
from hanoverd.docker.relay import Relay, RelayReactor
from hanoverd.runtime.cancellation import settled, shielded
from hanoverd.runtime.clock import settled_or_forced
from hanoverd.runtime.errors import EngineError, NotFound, OperationFailed
from hanoverd.spec.run.streams import OUTPUT, Stream

T = TypeVar("T")

#: Takes one line of the output of a build, pull, push or load.
OnLine = Callable[[str], object]

#: How long a cancelled short request may take to finish before it is aborted, in seconds. The engine may still create a
#: container after a request was aborted and after we have looked for the container; an answer leaves no doubt.
CANCEL_GRACE = 10.0


class EngineReactor(RelayReactor):
    """The parts of a reactor that the engine needs."""


class Engine:
    """The engine at ``address``.

    All methods fail with ``EngineError`` or its subclasses. A cancelled method fires with ``CancelledError`` when its
    thread has ended: a build, pull, push, load, wait or output is aborted at once, a short request gets ``CANCEL_GRACE``
    seconds to finish.
    """

    def __init__(self, reactor: EngineReactor, pools: Pools, address: EngineAddress) -> None:
        self._reactor = reactor
        self._pools = pools
        self.address = address
        # None: not negotiated yet.
        self._api_version: str | None = None

    async def inspect_image(self, reference: str) -> Mapping[str, Any]:
        """Return an image, as the engine describes it; fails with ``NotFound``."""
        return await self._call(lambda engine: engine.inspect_image(reference))

    async def inspect_container(self, name: str) -> Mapping[str, Any]:
        """Return a container, as the engine describes it; fails with ``NotFound``."""
        return await self._call(lambda engine: engine.inspect_container(name))

    async def network_has_ipv6(self, name: str) -> bool:
        """Return whether the containers of a network have IPv6 addresses; fails with ``NotFound``."""
        return await self._call(lambda engine: engine.network_has_ipv6(name))

    async def containers_with(self, label: str) -> list[Mapping[str, Any]]:
        """Return all containers, running or not, that were created with the label ``KEY=VALUE``."""
        return await self._call(lambda engine: engine.containers_with(label))

    async def build(
        self, pack: Callable[[Abort], Iterable[bytes]], request: BuildRequest, on_line: OnLine
    ) -> Mapping[str, Any] | None:
        """Build an image, and return it as ``inspect_image`` does; None if the engine names no image.

        ``pack`` is called in the thread and returns the build context, a tar, in pieces. ``on_line`` takes the lines of
        output in the reactor's thread. Fails with ``OperationFailed`` when a step fails.
        """
        return await self._operation(
            lambda engine, abort, on_event: engine.build(pack(abort), request, on_event), on_line
        )

    async def pull(self, repository: str, tag: str, login: Login, on_line: OnLine, platform: str = "") -> None:
        """Pull an image, of ``platform`` if it is given; ``on_line`` and errors as for ``build``.

        The engine also ends a pull without an error when its connection breaks: inspect the image afterwards.
        """
        await self._operation(
            lambda engine, _, on_event: engine.pull(repository, tag, login, on_event, platform), on_line
        )

    async def push(self, repository: str, tag: str, login: Login, on_line: OnLine) -> None:
        """Push an image; ``on_line`` and errors as for ``build``."""
        await self._operation(lambda engine, _, on_event: engine.push(repository, tag, login, on_event), on_line)

    async def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name. Idempotent."""
        await self._call(lambda engine: engine.tag(image, repository, tag))

    async def remote_digest(self, reference: str, login: Login) -> str:
        """Return the digest that the registry has for ``reference``; nothing is pulled. Cancel aborts the request."""
        return await self._stream(lambda engine, _: engine.remote_digest(reference, login))

    async def load(self, archive: Callable[[Abort], Iterable[bytes]], on_line: OnLine) -> None:
        """Load the images of a tar, which ``archive`` returns in pieces, called in the thread; ``on_line`` and errors as for
        ``build``.
        """
        await self._operation(lambda engine, abort, on_event: engine.load(archive(abort), on_event), on_line)

    async def run(self, name: str, on_stdout: Callable[[bytes], object], on_stderr: Callable[[bytes], object]) -> int:
        """Start a created container, and return its exit code when it has exited.

        ``on_stdout`` is called in the thread, ``on_stderr`` in the reactor's thread. Cancel ends the wait; the caller
        removes the container.
        """
        relay = Relay(self._reactor, on_stderr)
        return await self._stream(lambda engine, _: engine.run(name, on_stdout, relay.send), relay)

    async def create(self, name: str, body: Mapping[str, Any], platform: str = "") -> str:
        """Create a container, and return its ID. After a failure or a cancel it may exist: remove it by name."""
        return await self._call(lambda engine: engine.create(name, body, platform))

    async def rename(self, name: str, new_name: str) -> None:
        """Rename a container; fails with ``Conflict`` if the name is in use."""
        await self._call(lambda engine: engine.rename(name, new_name))

    async def remove_image(self, image_id: str) -> None:
        """Remove an image and the layers that only it uses; fails with ``Conflict`` if it is in use. Idempotent."""
        await self._call(lambda engine: engine.remove_image(image_id))

    async def start(self, name: str) -> Mapping[str, Any]:
        """Start a container, and return it as ``inspect_container`` does. Idempotent."""
        return await self._call(lambda engine: engine.start(name))

    async def wait(self, name: str) -> int:
        """Return the exit code when the container has exited."""
        return await self._stream(lambda engine, _: engine.wait(name))

    async def follow_output(
        self,
        name: str,
        since: float | None,
        on_output: Callable[[bytes], object],
        streams: Collection[Stream] = OUTPUT,
    ) -> None:
        """Pass the output of a container, from the Unix time ``since`` or its start, to ``on_output`` until it exits."""
        relay = Relay(self._reactor, on_output)
        await self._stream(lambda engine, _: engine.output(name, since, relay.send, streams), relay)

    async def last_output(self, name: str, lines: int) -> bytes:
        """Return the last so many lines of a container's output. Cancel aborts the request."""
        return await self._stream(lambda engine, _: engine.last_output(name, lines))

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container; fails with ``Conflict`` if it does not run."""
        await self._call(lambda engine: engine.kill(name, signal))

    async def stop(self, name: str, timeout: int) -> None:
        """Send a container its stop signal, and SIGKILL after ``timeout`` seconds (-1: never); fires when it has exited.

        Idempotent. Cancel kills it at once, and the Deferred fires when it has exited.
        """
        stopping = Deferred.fromCoroutine(
            self._in_thread(self._pools.stops, lambda engine, _: engine.stop(name, timeout))
        )
        kills: list[Deferred[None]] = []
        try:
            await settled(stopping, lambda: kills.append(Deferred.fromCoroutine(self._kill_if_running(name))))
        finally:
            for kill in kills:
                await shielded(kill)

    async def _kill_if_running(self, name: str) -> None:
        try:
            await self.kill(name, "SIGKILL")
        except EngineError:
            pass  # It has exited by itself, or the stop fails with the same error.

    async def remove(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes. Idempotent."""
        await self._call(lambda engine: engine.remove(name))

    async def remove_if(self, name: str, label: str, value: str) -> None:
        """Remove a container as ``remove`` does, if it has this label: another program may use the same name. Idempotent."""
        try:
            found = await self.inspect_container(name)
        except NotFound:
            return
        if (found["Config"]["Labels"] or {}).get(label) == value:
            await self.remove(name)

    async def negotiate(self) -> Mapping[str, Any]:
        """Return the engine's version, and choose the API version for the next requests."""

        def ask(engine: BlockingEngine, _: Abort) -> Mapping[str, Any]:
            version = engine.version()
            self._api_version = choose_api_version(version)
            return version

        return await self._in_thread(self._pools.requests, ask, negotiated=False)

    # -- threads

    async def _call(self, request: Callable[[BlockingEngine], T]) -> T:
        return await self._in_thread(self._pools.requests, lambda engine, _: request(engine), CANCEL_GRACE)

    async def _stream(self, request: Callable[[BlockingEngine, Abort], T], relay: Relay[Any] | None = None) -> T:
        """Make a request that may take any time; what it has sent to ``relay`` is delivered before its result."""

        def work(engine: BlockingEngine, abort: Abort) -> T:
            try:
                return request(engine, abort)
            finally:
                if relay is not None:
                    relay.flush()

        return await self._in_thread(self._pools.streams, work)

    async def _operation(self, request: Callable[[BlockingEngine, Abort, OnEvent], T], on_line: OnLine) -> T:
        """Make a request that streams events; fails with ``OperationFailed`` if one of them reports an error."""
        events = EventStream(on_line)
        relay = Relay(self._reactor, events.take)
        try:
            result = await self._stream(lambda engine, abort: request(engine, abort, relay.send), relay)
        finally:
            events.finish()
        if events.error is not None:
            raise OperationFailed(events.error)
        return result

    async def _in_thread(
        self,
        pool: ThreadPool,
        request: Callable[[BlockingEngine, Abort], T],
        cancel_grace: float = 0.0,
        *,
        negotiated: bool = True,
    ) -> T:
        if negotiated and self._api_version is None:
            await self.negotiate()
        abort = Abort()
        engine = BlockingEngine(self.address, self._api_version or "1.24", abort)
        work = deferToThreadPool(self._reactor, pool, request, engine, abort)
        try:
            return await settled_or_forced(self._reactor, cancel_grace, work, abort.request)
        except EngineError:
            # The engine may have been replaced by one that supports other versions of the API.
            self._api_version = None
            raise


async def image_of(engine: Engine, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the image of an inspected container; empty if it was removed by force.  Fails with the ``EngineError`` family."""
    try:
        return await engine.inspect_image(found["Image"])
    except NotFound:
        # The container itself has most of it.
        return {}
