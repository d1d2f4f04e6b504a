"""The Docker engine by Deferreds: each verb of ``BlockingEngine`` in a thread of a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Semaphore
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.blocking_engine import BlockingEngine, BuildRequest, Login, OnEvent, usable_api_version
from hanoverd.docker.pools import Pools
from hanoverd.runtime.cancellation import settled, shielded
from hanoverd.runtime.clock import settled_or_forced
from hanoverd.runtime.errors import EngineError, NotFound

T = TypeVar("T")

#: How long a cancel waits for the answer to a short request before it breaks the request off, in seconds.  A
#: create that is broken off may still be carried out after we looked for what it left; one that is answered
#: leaves no doubt.
PATIENCE = 10.0


#: How many events of a build, or pieces of output, may be on their way from a thread to the reactor.
MOST_IN_TRANSIT = 100


class EngineReactor(IReactorTime, IReactorFromThreads):
    """What a reactor must be able to do to talk to an engine."""


class Engine:
    """An engine at ``address``.

    Every verb may fail with the ``EngineError`` family.  A verb that was cancelled fires, with
    ``CancelledError``, when its thread is done: build, pull, wait and output are broken off at once, a short
    request is waited for, at most ``PATIENCE`` seconds.  A single pool of threads serves requests of all kinds.
    """

    def __init__(self, reactor: EngineReactor, pools: Pools, address: EngineAddress) -> None:
        self._reactor = reactor
        self._pools = pools
        self.address = address
        # None: to be asked for.
        self._api_version: str | None = None

    async def inspect_image(self, reference: str) -> Mapping[str, Any]:
        """What the engine knows of an image; fails with ``NotFound``."""
        return await self._call(lambda engine: engine.inspect_image(reference))

    async def inspect_container(self, name: str) -> Mapping[str, Any]:
        """What the engine knows of a container; fails with ``NotFound``."""
        return await self._call(lambda engine: engine.inspect_container(name))

    async def containers_with(self, label: str) -> list[Mapping[str, Any]]:
        """All containers, running or not, with the label ``KEY=VALUE``."""
        return await self._call(lambda engine: engine.containers_with(label))

    async def build(
        self, pack: Callable[[Abort], Iterable[bytes]], request: BuildRequest, on_event: OnEvent
    ) -> Mapping[str, Any] | None:
        """Build what ``pack`` makes in the thread (a tar, in pieces as it is sent), with each of the engine's events
        given to ``on_event`` in the reactor's thread, and give what the engine knows of the image.  A failed step is
        an event, not a failure, and then there is no image: the caller must look for ``error``.
        """
        on_event = self._in_reactor(on_event)
        return await self._stream(lambda engine, abort: engine.build(pack(abort), request, on_event))

    async def pull(self, repository: str, tag: str, login: Login, on_event: OnEvent) -> None:
        """Pull an image; events as for ``build``, errors among them too: prove it by inspecting the image."""
        on_event = self._in_reactor(on_event)
        await self._stream(lambda engine, _: engine.pull(repository, tag, login, on_event))

    async def push(self, repository: str, tag: str, login: Login, on_event: OnEvent) -> None:
        """Push an image; events as for ``build``, errors among them too."""
        on_event = self._in_reactor(on_event)
        await self._stream(lambda engine, _: engine.push(repository, tag, login, on_event))

    async def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name; idempotent."""
        await self._call(lambda engine: engine.tag(image, repository, tag))

    async def remote_digest(self, reference: str, login: Login) -> str:
        """The digest of what the registry has for ``reference``; pulls nothing.  Cancel breaks it off."""
        return await self._stream(lambda engine, _: engine.remote_digest(reference, login))

    async def load(self, archive: Callable[[Abort], Iterable[bytes]], on_event: OnEvent) -> None:
        """Load the images of the tar that ``archive`` makes in the thread; events as for ``build``."""
        on_event = self._in_reactor(on_event)
        await self._stream(lambda engine, abort: engine.load(archive(abort), on_event))

    async def run(self, name: str, on_stdout: Callable[[bytes], object], on_stderr: Callable[[bytes], object]) -> int:
        """Start a created container, and fire with its exit code when it has ended.

        ``on_stdout`` is called in the thread, ``on_stderr`` in the reactor's.  A cancel stops waiting, and leaves the
        container to the caller.
        """
        on_stderr = self._in_reactor(on_stderr)
        return await self._stream(lambda engine, _: engine.run(name, on_stdout, on_stderr))

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container, and give its ID.  After a failure or a cancel it may exist: remove it by name."""
        return await self._call(lambda engine: engine.create(name, body))

    async def rename(self, name: str, new_name: str) -> None:
        """Give a container another name; fails with ``Conflict`` where that is taken."""
        await self._call(lambda engine: engine.rename(name, new_name))

    async def remove_image(self, image_id: str) -> None:
        """Remove an image, and what it alone was made of; fails with ``Conflict`` where it is in use.  Idempotent."""
        await self._call(lambda engine: engine.remove_image(image_id))

    async def start(self, name: str) -> Mapping[str, Any]:
        """Start a container, and give what the engine knows of it then; idempotent."""
        return await self._call(lambda engine: engine.start(name))

    async def wait(self, name: str) -> int:
        """Fire with the exit code once the container does not run."""
        return await self._stream(lambda engine, _: engine.wait(name))

    async def follow_output(self, name: str, since: float | None, on_output: Callable[[bytes], object]) -> None:
        """Give what the container prints (``since`` a Unix time, else from its beginning), in pieces as they come, to
        ``on_output``, until it ends.
        """
        on_output = self._in_reactor(on_output)
        await self._stream(lambda engine, _: engine.output(name, since, on_output))

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container; fails with ``Conflict`` if it does not run."""
        await self._call(lambda engine: engine.kill(name, signal))

    async def stop(self, name: str, timeout: int) -> None:
        """End a container gracefully within ``timeout`` seconds (-1: however long it takes); idempotent.

        Cancel kills it instead: the Deferred fires once it has ended.
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
            pass  # It has ended by itself, or the stop that this hastens says what is wrong.

    async def remove(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes; idempotent."""
        await self._call(lambda engine: engine.remove(name))

    async def remove_if(self, name: str, label: str, value: str) -> None:
        """Remove a container as ``remove`` does, if it carries this label: a name that was taken when we came belongs
        to somebody else.  Idempotent.
        """
        try:
            found = await self.inspect_container(name)
        except NotFound:
            return
        if (found["Config"]["Labels"] or {}).get(label) == value:
            await self.remove(name)

    async def negotiate(self) -> Mapping[str, Any]:
        """Ask the engine who it is, choose the API version to speak from now on, and give the answer."""

        def asking(engine: BlockingEngine, _: Abort) -> Mapping[str, Any]:
            version = engine.version()
            self._api_version = usable_api_version(version)
            return version

        return await self._in_thread(self._pools.requests, asking, negotiated=False)

    # -- threads

    async def _call(self, verb: Callable[[BlockingEngine], T]) -> T:
        return await self._in_thread(self._pools.requests, lambda engine, _: verb(engine), PATIENCE)

    async def _stream(self, verb: Callable[[BlockingEngine, Abort], T]) -> T:
        return await self._in_thread(self._pools.streams, verb)

    async def _in_thread(
        self,
        pool: ThreadPool,
        verb: Callable[[BlockingEngine, Abort], T],
        patience: float = 0.0,
        *,
        negotiated: bool = True,
    ) -> T:
        if negotiated and self._api_version is None:
            await self.negotiate()
        abort = Abort()
        engine = BlockingEngine(self.address, self._api_version or "1.24", abort)
        work = deferToThreadPool(self._reactor, pool, verb, engine, abort)
        try:
            return await settled_or_forced(self._reactor, patience, work, abort.request)
        except EngineError:
            # It may have been replaced by one that speaks other versions of the API.
            self._api_version = None
            raise

    def _in_reactor(self, take: Callable[[T], object]) -> Callable[[T], None]:
        """For a thread: has ``take`` called in the reactor's thread, in order, and before what the thread returns."""
        # A container that prints faster than we log is held back, not put into an endless queue.
        room = Semaphore(MOST_IN_TRANSIT)

        def taking(item: T) -> None:
            room.release()
            take(item)

        def handing_over(item: T) -> None:
            room.acquire()
            self._reactor.callFromThread(taking, item)

        return handing_over
