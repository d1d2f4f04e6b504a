"""The liveness check: reports a live version that fails its check too often in a row."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.runtime.clock import sleep
from hanoverd.runtime.tasks import Tasks
from hanoverd.spec.health import HealthSpec
from hanoverd.versions.version import Running
from hanoverd.versions.versions import Versions

log = Logger()


class Liveness:
    """Probes the live versions as for readiness; ``on_failed`` is called with the number of one that failed, and the reason."""

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        spec: HealthSpec,
        live: Callable[[], list[Running]],
        on_failed: Callable[[int, str], object],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._spec = spec
        self._live = live
        self._on_failed = on_failed
        self._checks = Tasks()
        self._failures: dict[int, int] = {}

    def start(self) -> None:
        """Start to check, if the option is set."""
        if self._spec.interval > 0:
            self._checks.start(self._check_forever())

    async def stop(self) -> None:
        """Stop checking; fires when no check is in progress."""
        await self._checks.stop()

    async def _check_forever(self) -> None:
        while True:
            await sleep(self._clock, self._spec.interval)
            live = self._live()
            self._failures = {one.number: self._failures.get(one.number, 0) for one in live}
            for one in live:
                try:
                    await self._check(one)
                except CancelledError:
                    raise
                except Exception:  # noqa: BLE001  # a bug must not end the checks
                    log.failure(
                        "{version}: liveness check failed: internal error",
                        event="internal_error",
                        version=one.name,
                    )

    async def _check(self, running: Running) -> None:
        reason = await self._versions.failure_reason(running)
        if reason is None or running.number not in {one.number for one in self._live()}:
            self._failures[running.number] = 0
            return
        self._failures[running.number] = count = self._failures.get(running.number, 0) + 1
        log.warn(
            "{version}: liveness check failed ({count} of {limit}): {reason}",
            event="unhealthy",
            version=running.name,
            count=count,
            limit=self._spec.failures,
            reason=reason,
        )
        if count >= self._spec.failures:
            self._failures[running.number] = 0
            self._on_failed(running.number, reason)
