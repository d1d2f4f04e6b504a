"""The queue of requests for handovers: triggers, commands, and missed revisions.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hanoverd.deploy.targets import Source, Target

#: Why a request is cancelled when a newer one replaces it.
NEWER = "replaced by a newer request"

#: How many different reasons a request has, and how many different triggers are held: the newest ones.
MOST = 20


@dataclass(frozen=True)
class Command:
    """A person's request for a handover; ``number`` is its ID in the history.

    ``ready_timeout`` is the time limit for this handover's version to be ready, in seconds; None for the app's.
    With ``if_changed`` it is carried out only if the live version has another image or other settings.
    """

    reason: str
    target: Target
    number: int
    ready_timeout: float | None = None
    if_changed: bool = False


@dataclass(frozen=True)
class Request:
    """One request for a handover: all triggers since the last handover, and the ``command`` among them, if there is one.

    ``if_changed``: it is carried out only if the live version has another image or other settings.
    """

    reasons: tuple[str, ...]
    target: Target
    command: Command | None = None
    if_changed: bool = False

    @property
    def ready_timeout(self) -> float | None:
        """The time limit for its version to be ready, in seconds; None for the app's."""
        return None if self.command is None else self.command.ready_timeout


@dataclass(frozen=True)
class Held:
    """A trigger that waits for ``resume``; ``is_missed``: no message reported its revision, it was found at the source.

    ``count`` is the number of triggers that it stands for.
    """

    reason: str
    revision: str | None
    is_missed: bool = False
    count: int = 1

    def is_repeated_by(self, newer: Held) -> bool:
        """Whether ``newer`` asks for the same."""
        return replace(newer, count=self.count) == self

    def replaced_by(self, newer: Held) -> Held:
        """Return the trigger that stands for both; the newer one wins."""
        return Held(
            newer.reason,
            self.revision if newer.revision is None else newer.revision,
            self.is_missed and newer.is_missed,
            self.count + newer.count,
        )


@dataclass(frozen=True)
class Requests:
    """The queue, with one request at most: a newer one is merged with the waiting one, or replaces it.

    ``revision`` is the commit of the last trigger that named one; it counts for later triggers without a commit too, until
    a command deploys the newest one.
    ``obtained`` is the revision that was obtained last.  ``missed`` was found at the source after a lost connection to hookbot.
    ``is_forced``: the waiting request has replaced one that was to be carried out in any case, and so is this one.
    """

    reasons: tuple[str, ...] = ()
    command: Command | None = None
    revision: str | None = None
    obtained: str | None = None
    missed: str | None = None
    is_paused: bool = False
    held: tuple[Held, ...] = ()
    is_forced: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no request waits."""
        return not self.reasons and self.command is None

    @property
    def held_count(self) -> int:
        """How many triggers are held."""
        return sum(held.count for held in self.held)

    def add_trigger(self, reason: str, revision: str | None) -> Requests:
        """Add a trigger, which is held while paused."""
        if self.is_paused:
            return self._hold(Held(reason, revision))
        return self.with_trigger(reason, revision)

    def add_command(self, command: Command) -> Requests:
        """Add a command, which is not held while paused."""
        # The newest revision is newer than the one that a trigger has named: later triggers must not go back to it.
        revision = None if command.target == Source() else self.revision
        return replace(self._without_command(), command=command, revision=revision)

    def newest_found(self, newest: str) -> Requests:
        """Note the newest revision of the source, which hookbot may not have reported; see ``catch_up``."""
        if self.is_paused:
            if newest == self.obtained and not self.held:
                return self
            return self._hold(Held(missed_reason(newest), newest, is_missed=True))
        return replace(self, missed=newest)

    def catch_up(self) -> Requests:
        """Add a request for the missed revision, unless it was obtained in the meantime."""
        missed = self.missed
        if missed is None:
            return self
        caught_up = replace(self, missed=None)
        if missed == self.obtained:
            return caught_up
        return replace(caught_up, revision=missed).with_reason(missed_reason(missed))

    def pause(self) -> Requests:
        """Hold triggers from now on."""
        return replace(self, is_paused=True)

    def resume(self) -> Requests:
        """Release the held triggers in their order, and hold no more."""
        return replace(self.release(), is_paused=False)

    def release(self) -> Requests:
        """Release the held triggers in their order, and stay paused."""
        requests = replace(self, held=())
        for held in self.held:
            if held.is_missed and held.revision == self.obtained and requests.revision in (None, self.obtained):
                continue
            requests = requests.with_trigger(held.reason, held.revision)
        return requests

    def cleared(self) -> Requests:
        """Return the queue without the waiting request."""
        return replace(self, reasons=(), command=None, is_forced=False)

    def next_request(self, *, if_changed: bool = False) -> Request:
        """Return the waiting request.

        With ``if_changed``, triggers that would change nothing are skipped.  A request that stands for several is skipped only
        if each of them would be.
        """
        if self.command is None:
            return Request(self.reasons, Source(self.revision), if_changed=if_changed and not self.is_forced)
        reasons = dict.fromkeys((*self.reasons, self.command.reason))
        skips_triggers = if_changed or not self.reasons
        skips = self.command.if_changed and skips_triggers and not self.is_forced
        return Request(tuple(reasons), self.command.target, self.command, skips)

    def forced(self) -> Requests:
        """Return the queue whose waiting request is carried out in any case."""
        return replace(self, is_forced=True)

    def with_reason(self, reason: str) -> Requests:
        """Return the queue with one more reason for the waiting request."""
        if reason in self.reasons:
            return self
        return replace(self, reasons=(*self.reasons, reason)[-MOST:])

    def with_trigger(self, reason: str, revision: str | None) -> Requests:
        """Return the queue with one more trigger, paused or not."""
        requests = self._without_command()
        if revision is not None:
            requests = replace(requests, revision=revision)
        if revision == requests.revision:
            # It is newer than the missed revision, or obtains the newest one anyway.
            requests = replace(requests, missed=None)
        return requests.with_reason(reason)

    def _without_command(self) -> Requests:
        is_forced = self.is_forced or (self.command is not None and not self.command.if_changed)
        return replace(self, command=None, is_forced=is_forced)

    def _hold(self, newer: Held) -> Requests:
        """Hold one more trigger, without a change of the request that ``release`` makes of all of them."""
        held = list(self.held)
        for index, one in enumerate(held):
            # One that names a revision may overrule those before it: it must keep its place.
            if one.is_repeated_by(newer) and (newer.revision is None or one is held[-1]):
                held[index] = one.replaced_by(newer)
                return replace(self, held=tuple(held))
        held.append(newer)
        if len(held) > MOST:
            held[:2] = [held[0].replaced_by(held[1])]
        return replace(self, held=tuple(held))


def missed_reason(newest: str) -> str:
    """Return the reason of a handover to a revision that no message reported."""
    return f"hookbot was away, and the source has changed: {newest}"
