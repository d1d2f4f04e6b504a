"""The rule reconciler: repairs the rules where another program flushes them, or puts its own before them."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.network.forwarding_monitor import ForwardingMonitor
from hanoverd.network.routes import Routes
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.runtime.tasks import Tasks
from hanoverd.text.counting import counted

log = Logger()

#: The time between two checks, in seconds.
INTERVAL = 1.0


class Reconciler:
    """Checks and repairs ``routes`` once a second, and logs what it repaired; ``forwarding`` is checked, too."""

    def __init__(self, clock: IReactorTime, routes: Routes, forwarding: ForwardingMonitor) -> None:
        self._clock = clock
        self._routes = routes
        self._forwarding = forwarding
        self._checks = Tasks()
        self._is_stopping = False
        self._report = ReportOnce(_log_error)
        #: How many times another program's change was repaired.
        self.repairs = 0

    def start(self) -> None:
        """Check from now on."""
        self._checks.start(self._check_repeatedly())

    async def stop(self) -> None:
        """Stop checking; fires when the last check has ended."""
        # A repair ignores cancellation.
        self._is_stopping = True
        await self._checks.stop()

    async def _check_repeatedly(self) -> None:
        while not self._is_stopping:
            await sleep(self._clock, INTERVAL)
            self._forwarding.check()
            try:
                problem = await self._routes.repair()
            except HanoverdError as error:
                self._report(str(error))
                continue
            except OSError as error:
                # No file descriptors or memory are left for the moment.
                self._report(str(error))
                continue
            self._report.reset()
            if problem is not None:
                self.repairs += 1
                log.warn(
                    "firewall: repaired a change by another program: {reason} ({repairs} so far)",
                    event="repaired",
                    reason=problem,
                    count=self.repairs,
                    repairs=counted(self.repairs, "repair"),
                )


def _log_error(reason: str) -> None:
    log.error("firewall: rules cannot be checked: {error}", event="repair_failed", error=reason)
