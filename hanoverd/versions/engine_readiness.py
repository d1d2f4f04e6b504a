"""When a version is ready, as the engine shows it: by the container's own health check, or because it keeps running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import has_healthcheck, healthcheck_failure, healthcheck_status
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import VersionFailed
from hanoverd.spec.health import RUNS_FOR
from hanoverd.text.durations import format_duration
from hanoverd.versions.failures import unhealthy_error
from hanoverd.versions.version import Running

#: The time between two looks at a health check, in seconds.  Docker runs it once in 30 s, unless it is asked to do otherwise.
LOOK_INTERVAL = 0.1


class HealthcheckReadiness:
    """Waits until the health check of a container turns healthy.

    ``interval`` is the time from one look to the next, in seconds; None: 100 ms.
    """

    def __init__(self, clock: IReactorTime, engine: Engine, running: Running, interval: float | None = None) -> None:
        self._clock = clock
        self._engine = engine
        self._running = running
        self._interval = LOOK_INTERVAL if interval is None else interval
        self._status, self._output = "starting", ""

    def describe(self) -> str:
        """Return the state of the check, with what it printed last."""
        output = f", and printed last: {self._output}" if self._output else ""
        return f": its HEALTHCHECK is {self._status}{output}"

    async def wait(self) -> None:
        """Wait until the check is healthy; see ``Readiness``.  Fails as soon as it is unhealthy."""
        while True:
            started = self._clock.seconds()
            found = await self._engine.inspect_container(self._running.container.ref)
            # The engine calls every container unhealthy that has exited; its exit says more, and ends this wait.
            if found["State"]["Running"] and await self._is_healthy(found):
                return
            await sleep(self._clock, max(0.0, started + self._interval - self._clock.seconds()))

    async def _is_healthy(self, found: Mapping[str, Any]) -> bool:
        if not has_healthcheck(found):
            raise no_healthcheck()
        reason = healthcheck_failure(found)
        if reason is not None:
            raise unhealthy_error(reason, await self._running.monitor.recent_output())
        self._status, self._output = healthcheck_status(found)
        return self._status == "healthy"


class RunningReadiness:
    """Waits a moment: a version is ready when it keeps running."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def describe(self) -> str:
        """Return how long it has to run."""
        return f": it has to run for {format_duration(RUNS_FOR)}"

    async def wait(self) -> None:
        """Wait; see ``Readiness``.  Who waits cancels this when the container exits."""
        await sleep(self._clock, RUNS_FOR)


def no_healthcheck() -> VersionFailed:
    """Return the error for a container without a health check."""
    return VersionFailed(
        "it has no health check for --status-kind docker: add a HEALTHCHECK to the image, set --health-cmd, or choose "
        "another --status-kind"
    )
