"""Stops, renames and removes the containers of an app's versions, however long the engine is away."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.clock import settles_within
from hanoverd.runtime.errors import EngineError, EngineRefused, EngineUnreachable, HanoverdError
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.container import APP
from hanoverd.spec.names import kept_name
from hanoverd.versions.version import Container, Running
from hanoverd.versions.versions import Versions

log = Logger()

#: How long Docker waits after the stop signal before it sends SIGKILL, in seconds.
DEFAULT_STOP_TIMEOUT = 10

#: How soon the exit of a container is seen after the engine has reported that it is stopped, in seconds.
EXIT_SEEN_WITHIN = 5.0

#: The waits between two requests to an engine that is away.
BACKOFF = Backoff(first=0.1, longest=5.0)

#: From this HTTP status on, the engine, or a proxy before it, could not answer the request (RFC 9110, 15.6).  Such a request
#: is retried for so many seconds.
_SERVER_ERROR, REFUSED_WITHIN = 500, 5.0


class Stopper:
    """Stops and removes containers of one app, and stops their monitors.

    A request that the engine does not answer is retried until it answers, or until the deadline of ``give_up_after``.
    ``stop_timeout`` is in seconds (None: Docker's default).
    """

    def __init__(self, clock: IReactorTime, engine: Engine, versions: Versions, stop_timeout: int | None) -> None:
        self._clock = clock
        self._engine = engine
        self._versions = versions
        self._stop_timeout = DEFAULT_STOP_TIMEOUT if stop_timeout is None else stop_timeout
        self._deadline = math.inf

    def give_up_after(self, seconds: float) -> None:
        """From now on, wait at most ``seconds`` for an engine that does not answer."""
        self._deadline = self._clock.seconds() + seconds

    async def wait_for_engine(self) -> None:
        """Fire when the engine answers, however long that takes.

        Fails with the ``EngineError`` family where waiting does not help, as without permission.  Cancel ends the wait.
        """
        await self._retry(f"{self._versions.app}: waiting for the engine", self._engine.negotiate)

    async def stop(self, container: Container) -> None:
        """Stop the container with its stop signal, and with SIGKILL after its stop timeout.  Idempotent.

        Fails with the ``EngineError`` family: with ``EngineUnreachable`` only after the deadline of ``give_up_after``.  Cancel
        kills the container at once.
        """
        await self._retry(
            f"{container.name}: not stopped yet", lambda: self._engine.stop(container.ref, self._stop_timeout)
        )

    async def stop_and_wait(self, running: Running) -> None:
        """Stop a version as ``stop`` does, and fire when its exit is seen: until then ``has_exited`` is false.

        A cancel kills the container, and is raised when its exit is seen.
        """
        try:
            await self.stop(running.container)
        finally:
            await shielded(Deferred.fromCoroutine(settles_within(self._clock, EXIT_SEEN_WITHIN, running.monitor.exit)))

    async def rename_to_kept(self, container: Container) -> None:
        """Rename a stopped container to its kept name.  Fails with the ``EngineError`` family."""
        await self._versions.stop_monitoring(container.number)
        await self._engine.rename(container.ref, kept_name(container.name))

    async def remove(self, container: Container) -> None:
        """Remove the container, running or not, if it exists and belongs to this app.  Idempotent.

        Fails as ``stop`` does.  Cancel gives up.
        """
        try:
            await self._retry(
                f"{container.name}: not removed yet",
                lambda: self._engine.remove_if(container.ref, APP, self._versions.app),
            )
        finally:
            await self._versions.stop_monitoring(container.number)

    async def remove_or_log(self, container: Container) -> bool:
        """Remove the container as ``remove`` does, and return whether that succeeded.

        Never fails: an error or a cancel is logged.
        """
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

    async def _retry(self, problem: str, request: Callable[[], Coroutine[Deferred[Any], Any, object]]) -> None:
        """Send a request until the engine has answered it; ``problem`` is logged, once, while the engine is away."""
        refused_until = self._clock.seconds() + REFUSED_WITHIN
        report = ReportOnce(
            lambda error: log.warn("{problem}: {error}; retrying", event="engine_waiting", problem=problem, error=error)
        )

        def before_sleep(error: EngineError, _delay: float) -> None:
            if isinstance(error, EngineUnreachable) and self._clock.seconds() < self._deadline:
                report(str(error))
                return
            # An engine that starts or stops, and a proxy before an engine that is away, answer 5xx for a moment.
            is_server_error = isinstance(error, EngineRefused) and error.status >= _SERVER_ERROR
            if not is_server_error or self._clock.seconds() >= min(self._deadline, refused_until):
                raise error

        await retry(self._clock, BACKOFF, request, on=EngineError, before_sleep=before_sleep)
