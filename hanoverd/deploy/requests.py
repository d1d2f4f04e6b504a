"""The requests for handovers that have not started: triggers, orders, and what was missed.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hanoverd.deploy.targets import Source, Target

#: Why a request ends that a newer one replaces.
NEWER = "a newer one begins"


@dataclass(frozen=True)
class Command:
    """A handover that a person asked for, who knows it by ``number``: its ID in the history."""

    reason: str
    target: Target
    number: int


@dataclass(frozen=True)
class Request:
    """What the triggers since the last handover add up to; ``command`` is the one among them, if there is one."""

    reasons: tuple[str, ...]
    target: Target
    command: Command | None = None


@dataclass(frozen=True)
class Held:
    """A trigger that waits for ``resume``; ``is_missed`` if it is a revision that was found at the source."""

    reason: str
    revision: str | None
    is_missed: bool = False


@dataclass(frozen=True)
class Requests:
    """The queue.  It holds one request at most: a newer one joins or replaces the one that waits.

    ``revision`` is the commit that a trigger named last: later triggers that name none mean it too.  ``obtained`` is
    the revision that was obtained last.  ``missed`` was found at the source after a time without a connection.
    """

    reasons: tuple[str, ...] = ()
    command: Command | None = None
    revision: str | None = None
    obtained: str | None = None
    missed: str | None = None
    is_paused: bool = False
    held: tuple[Held, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no request waits."""
        return not self.reasons

    def add_trigger(self, reason: str, revision: str | None) -> Requests:
        """A trigger, which is held while paused."""
        if self.is_paused:
            return replace(self, held=(*self.held, Held(reason, revision)))
        return self.with_trigger(reason, revision)

    def add_command(self, command: Command) -> Requests:
        """A command, which is not held while paused."""
        return replace(self._without_command(), command=command).with_reason(command.reason)

    def newest_found(self, newest: str) -> Requests:
        """The source has ``newest``, which hookbot may not have reported.  ``catch_up`` makes a request of it."""
        if self.is_paused:
            if newest == self.obtained and not self.held:
                return self
            return replace(self, held=(*self.held, Held(_missed(newest), newest, is_missed=True)))
        return replace(self, missed=newest)

    def catch_up(self) -> Requests:
        """Make a request of what was missed, unless it was obtained meanwhile."""
        missed = self.missed
        if missed is None:
            return self
        caught_up = replace(self, missed=None)
        if missed == self.obtained:
            return caught_up
        return replace(caught_up, revision=missed).with_reason(_missed(missed))

    def pause(self) -> Requests:
        """Hold triggers from now on."""
        return replace(self, is_paused=True)

    def resume(self) -> Requests:
        """Release what was held, in its order."""
        return replace(self.release(), is_paused=False)

    def release(self) -> Requests:
        """Make one request of what was held, and stay paused."""
        requests = replace(self, held=())
        for held in self.held:
            if held.is_missed and held.revision == self.obtained and requests.revision in (None, self.obtained):
                continue
            requests = requests.with_trigger(held.reason, held.revision)
        return requests

    def cleared(self) -> Requests:
        """Without the request that waits."""
        return replace(self, reasons=(), command=None)

    def next_request(self) -> Request:
        """The request that waits."""
        target = Source(self.revision) if self.command is None else self.command.target
        return Request(tuple(dict.fromkeys(self.reasons)), target, self.command)

    def with_reason(self, reason: str) -> Requests:
        """With one more reason for the request that waits."""
        return replace(self, reasons=(*self.reasons, reason))

    def with_trigger(self, reason: str, revision: str | None) -> Requests:
        """With one more trigger, paused or not."""
        requests = self._without_command()
        if revision is not None:
            requests = replace(requests, revision=revision)
        if revision == requests.revision:
            # It is newer than what was found before it, or obtains the newest anyway.
            requests = replace(requests, missed=None)
        return requests.with_reason(reason)

    def _without_command(self) -> Requests:
        if self.command is None:
            return self
        reasons = list(self.reasons)
        reasons.remove(self.command.reason)
        return replace(self, command=None, reasons=tuple(reasons))


def _missed(newest: str) -> str:
    return f"hookbot was away, and the source has changed: {newest}"
