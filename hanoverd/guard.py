"""Looks after the rules: other programs flush firewalls, or put their own rules first."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.concurrency.polling import pause
from hanoverd.concurrency.tasks import Tasks
from hanoverd.errors import HanoverdError
from hanoverd.switch import Switch

log = Logger()

#: Between two looks, in seconds.
EVERY = 1.0


class Guard:
    """Has ``switch`` put right, once a second, what others changed of its rules, and tells."""

    def __init__(self, clock: IReactorTime, switch: Switch) -> None:
        self._clock = clock
        self._switch = switch
        self._looking = Tasks()
        self._is_over = False
        self._told = ""
        #: How often something was put right.
        self.mended = 0

    def start(self) -> None:
        """Look from now on."""
        self._looking.go(self._look())

    async def stop(self) -> None:
        """Fires when nobody looks any more."""
        # The putting right is deaf to a cancel.
        self._is_over = True
        await self._looking.stop()

    async def _look(self) -> None:
        while not self._is_over:
            await pause(self._clock, EVERY)
            try:
                wrong = await self._switch.mend()
            except CancelledError:
                raise
            except HanoverdError as error:
                self._tell_once(str(error))
                continue
            self._told = ""
            if wrong is not None:
                self.mended += 1
                log.warn(
                    "the firewall was changed by somebody else: {wrong}: put right (number {count})",
                    wrong=wrong,
                    count=self.mended,
                )

    def _tell_once(self, trouble: str) -> None:
        if trouble != self._told:
            log.error("the rules cannot be looked after: {trouble}", trouble=trouble)
        self._told = trouble
