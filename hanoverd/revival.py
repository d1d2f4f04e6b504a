"""Has a live version started again that has exited, of the same: after growing delays."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hanoverd.concurrency.polling import growing
from hanoverd.model.container import Recipe
from hanoverd.model.restart import RestartPolicy

#: The delays, and after how long a version has proved itself, so that they begin anew, in seconds; as Docker's own.
FIRST_DELAY, LONGEST_DELAY, PROVED_AFTER = 0.1, 60.0, 10.0


class Revival:
    """One revival at a time, begun by ``on_due``; a version that goes live makes it needless."""

    def __init__(self, clock: IReactorTime, policy: RestartPolicy, on_due: Callable[[], object]) -> None:
        self._clock = clock
        self._policy = policy
        self._on_due = on_due
        self._delays = growing(FIRST_DELAY, LONGEST_DELAY, 2.0)
        self._restarts = 0
        self._live_since = 0.0
        self._recipe: Recipe | None = None
        self._timer: IDelayedCall | None = None

    @property
    def live_for(self) -> float:
        """For how many seconds the last version to go live has been so."""
        return self._clock.seconds() - self._live_since

    def begin(self, recipe: Recipe, exit_code: int | None) -> float | None:
        """Have another of ``recipe`` started in a while; gives the delay in seconds, None where the policy is against it.

        ``exit_code`` None: a revival has failed before the version was ready.
        """
        if exit_code is not None and self.live_for >= PROVED_AFTER:
            self._delays = growing(FIRST_DELAY, LONGEST_DELAY, 2.0)
            self._restarts = 0
        if not self._policy.allows(exit_code, self._restarts):
            return None
        self._restarts += 1
        self._recipe = recipe
        delay = next(self._delays)
        self._timer = self._clock.callLater(delay, self._on_due)
        return delay

    def due(self) -> Recipe | None:
        """What is to be started again; None where a newer version has come in its place."""
        return self._recipe

    def is_live(self) -> None:
        """A version went live: whatever was to be started again is no more."""
        self._live_since = self._clock.seconds()
        self.stop()

    def stop(self) -> None:
        """Begin nothing more; idempotent."""
        self._recipe = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
