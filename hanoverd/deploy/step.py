"""One transition in progress: the changed state and the effects so far.  Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hanoverd.deploy.effects import (
    CancelAttempt,
    Effect,
    ReportCancelled,
    ReportDropped,
    StartAttempt,
    StartTimer,
    TimerKind,
)
from hanoverd.deploy.requests import Request, Requests
from hanoverd.deploy.state import Attempt, Kind, Phase, Role, State, Version
from hanoverd.deploy.targets import Restart
from hanoverd.spec.container import Recipe

#: The first and the longest delay between restarts in a row, in seconds, as in Docker.
FIRST_DELAY, LONGEST_DELAY = 0.1, 60.0

#: After so many seconds of being live, restarts are counted from 0 again, as in Docker.
STABLE_AFTER = 10.0

#: The delay before the removal of old versions and images is retried, in seconds.
PRUNE_RETRY_DELAY = 5.0


class Step:
    """Collects the changes and effects of one event.  It exists during one call of ``transition`` only."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.effects: list[Effect] = []

    def emit(self, *effects: Effect) -> None:
        """Add effects, which are run in this order."""
        self.effects += effects

    def set(self, **changes: Any) -> None:
        """Change fields of the state."""
        self.state = replace(self.state, **changes)

    def put(self, version: Version) -> None:
        """Add a version, or replace the one of its number."""
        self.state = self.state.with_version(version)

    def forget(self, number: int) -> None:
        """Remove a version from the state."""
        self.state = self.state.without_version(number)

    def take_live_order(self) -> int:
        """Return the place in the order of going live for a version that goes live now."""
        live_order = self.state.next_live_order
        self.set(next_live_order=live_order + 1)
        return live_order

    def change(self, version: Version, **changes: Any) -> Version:
        """Change fields of a version, and return it with the changes."""
        changed = replace(version, **changes)
        self.put(changed)
        return changed

    def stop_serving(self, version: Version, role: Role) -> Version:
        """Change the role of a version to one without new connections, and return the version."""
        return self.change(version, role=role, share=0)

    def set_requests(self, requests: Requests, why_dropped: str) -> None:
        """Replace the queue, and report a command that is not in it any more."""
        before = self.state.requests.command
        self.set(requests=requests)
        if before is not None and requests.command is not before:
            self.emit(ReportDropped(before, why_dropped))

    # -- attempts

    def set_attempt(self, kind: Kind, attempt: Attempt | None) -> None:
        """Set or clear the handover of a kind."""
        self.set(**{kind.value: attempt})

    def start_attempt(self, kind: Kind, request: Request) -> None:
        """Start a handover."""
        identifier = self.state.next_attempt
        self.set(next_attempt=identifier + 1)
        self.run_attempt(Attempt(identifier, kind, request, None))

    def run_attempt(self, attempt: Attempt) -> None:
        """Start an attempt with the next number."""
        number = self.state.next_number
        started = replace(attempt, number=number)
        self.set(next_number=number + 1)
        self.put(Version(number, Role.CANDIDATE))
        self.set_attempt(attempt.kind, started)
        self.emit(StartAttempt(started))

    def cancel_attempt(self, attempt: Attempt, why: str) -> None:
        """Cancel a handover.  Its end is an event, unless it waits for the engine."""
        if attempt.cancelled:
            return
        cancelled = replace(attempt, cancelled=why)
        if attempt.number is None:
            self.set_attempt(attempt.kind, None)
            self.emit(ReportCancelled(cancelled))
            self.retry_restart(cancelled)
        else:
            self.set_attempt(attempt.kind, cancelled)
            self.emit(CancelAttempt(attempt.number, why))

    # -- restarts

    def retry_restart(self, attempt: Attempt) -> float | None:
        """Retry a restart that did not succeed; return the delay in seconds, or None if there is nothing to retry."""
        if attempt.kind is not Kind.RESTART or self.state.restarts.wanted is None:
            return None
        target = attempt.request.target
        assert isinstance(target, Restart)  # noqa: S101  # a restart has no other target
        return self.schedule_restart(target.recipe, None)

    def schedule_restart(self, recipe: Recipe, code: int | None, *, always: bool = False) -> float | None:
        """Start another container of ``recipe`` after a delay; return it in seconds, or None if the policy forbids a restart.

        ``code`` is the exit code (None: it did not exit).  ``always`` overrides the policy.
        """
        if self.state.phase is not Phase.RUNNING:
            return None
        restarts = self.state.restarts
        if not (always or self.state.policy.restart.allows(code, restarts.count)):
            self.set(restarts=replace(restarts, wanted=None, is_due=False))
            return None
        delay = backoff(restarts.count)
        self.set(restarts=replace(restarts, count=restarts.count + 1, wanted=recipe, is_due=False))
        self.emit(StartTimer(TimerKind.RESTART, delay))
        return delay


def backoff(failures: int) -> float:
    """Return the delay in seconds after this number of failures in a row."""
    return float(min(FIRST_DELAY * 2 ** min(failures, 30), LONGEST_DELAY))
