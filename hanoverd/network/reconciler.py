"""Repairs the rules: other programs flush firewalls, or put their own rules first."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.network.routes import Routes
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.runtime.tasks import Tasks
from hanoverd.text.counting import counted

log = Logger()

#: Between two looks, in seconds.
EVERY = 1.0


class Reconciler:
    """Has ``routes`` repaired once a second, and logs what was repaired."""

    def __init__(self, clock: IReactorTime, routes: Routes) -> None:
        self._clock = clock
        self._routes = routes
        self._looking = Tasks()
        self._is_over = False
        self._report = ReportOnce(_log_error)
        #: How often others had changed something.
        self.repairs = 0

    def start(self) -> None:
        """Look from now on."""
        self._looking.start(self._look())

    async def stop(self) -> None:
        """Fires when the last look is over."""
        # A repair ignores cancellation.
        self._is_over = True
        await self._looking.stop()

    async def _look(self) -> None:
        while not self._is_over:
            await sleep(self._clock, EVERY)
            try:
                wrong = await self._routes.repair()
            except HanoverdError as error:
                self._report(str(error))
                continue
            except OSError as error:
                # Descriptors or memory are exhausted: that passes.
                self._report(str(error))
                continue
            self._report.reset()
            if wrong is not None:
                self.repairs += 1
                log.warn(
                    "firewall: repaired a change by another program: {reason} ({repairs} so far)",
                    event="repaired",
                    reason=wrong,
                    count=self.repairs,
                    repairs=counted(self.repairs, "repair"),
                )


def _log_error(reason: str) -> None:
    log.error("firewall: rules cannot be checked: {error}", event="repair_failed", error=reason)
