"""Starts the image of a live version again that has exited: after growing delays, by the triggers."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hanoverd.concurrency.polling import growing
from hanoverd.model.container import Image
from hanoverd.model.restart import RestartPolicy
from hanoverd.triggers import Triggers

#: The delays, and after how long a version has proved itself, so that they begin anew, in seconds; as Docker's own.
FIRST_DELAY, LONGEST_DELAY, PROVED_AFTER = 0.1, 60.0, 10.0

_REASON = "the live version has exited"


class Revival:
    """One revival at a time; a version that goes live makes it needless."""

    def __init__(self, clock: IReactorTime, policy: RestartPolicy, triggers: Triggers) -> None:
        self._clock = clock
        self._policy = policy
        self._triggers = triggers
        self._delays = growing(FIRST_DELAY, LONGEST_DELAY, 2.0)
        self._restarts = 0
        self._live_since = 0.0
        self._image: Image | None = None
        self._timer: IDelayedCall | None = None

    @property
    def live_for(self) -> float:
        """For how many seconds the last version to go live has been so."""
        return self._clock.seconds() - self._live_since

    def begin(self, image: Image, exit_code: int | None) -> float | None:
        """Have ``image`` started again in a while; gives the delay in seconds, None where the policy is against it.

        ``exit_code`` None: a revival has failed before the version was ready.
        """
        if exit_code is not None and self.live_for >= PROVED_AFTER:
            self._delays = growing(FIRST_DELAY, LONGEST_DELAY, 2.0)
            self._restarts = 0
        if not self._policy.allows(exit_code, self._restarts):
            return None
        self._restarts += 1
        self._image = image
        delay = next(self._delays)
        self._timer = self._clock.callLater(delay, self._triggers.queue, _REASON)
        return delay

    def due(self, reasons: Sequence[str]) -> Image | None:
        """The image to start again, if nothing but that is asked for."""
        return self._image if self.is_only(reasons) else None

    def is_only(self, reasons: Sequence[str]) -> bool:
        """Whether nothing but a revival is asked for."""
        return set(reasons) == {_REASON}

    def is_live(self) -> None:
        """A version went live: whatever was to be started again is no more."""
        self._live_since = self._clock.seconds()
        self.stop()

    def stop(self) -> None:
        """Begin nothing more; idempotent."""
        self._image = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
