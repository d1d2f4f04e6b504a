"""Looks after the live version's health: one that answers no more is replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.polling import pause
from hanoverd.concurrency.tasks import Tasks
from hanoverd.switch import Switch
from hanoverd.version import Live, Versions

log = Logger()


@dataclass(frozen=True)
class CheckupOptions:
    """``every`` so many seconds (0: never), and after how many failures in a row to give a version up."""

    every: float
    failures: int


class Checkup:
    """Probes the live version, as for readiness, and calls ``on_failed`` with one that is to be replaced, and why."""

    def __init__(
        self,
        clock: IReactorTime,
        versions: Versions,
        switch: Switch,
        options: CheckupOptions,
        on_failed: Callable[[Live, str], object],
    ) -> None:
        self._clock = clock
        self._versions = versions
        self._switch = switch
        self._options = options
        self._on_failed = on_failed
        self._looking = Tasks()

    def start(self) -> None:
        """Look from now on, if it is wanted at all."""
        if self._options.every > 0:
            self._looking.go(self._look())

    async def stop(self) -> None:
        """Fires when nobody looks any more."""
        await self._looking.stop()

    async def _look(self) -> None:
        patient: Live | None = None
        failures = 0
        while True:
            await pause(self._clock, self._options.every)
            live = self._switch.live
            if live is None:
                continue
            if live is not patient:
                patient, failures = live, 0
            complaint = await self._versions.complaint(live.running)
            if complaint is None or live is not self._switch.live:
                failures = 0
                continue
            failures += 1
            log.warn(
                "{name} is live and not well ({count} of {most}): {complaint}",
                name=live.name,
                count=failures,
                most=self._options.failures,
                complaint=complaint,
            )
            if failures >= self._options.failures:
                failures = 0
                self._on_failed(live, complaint)
