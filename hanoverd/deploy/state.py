"""The life of an app as one value.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from hanoverd.deploy.requests import Request, Requests
from hanoverd.spec.container import Recipe
from hanoverd.spec.restart import RestartPolicy

#: The share of a version that gets all new connections, in percent.
FULL_SHARE = 100


class Role(Enum):
    """The role of a version.  It has exactly one from its creation to its removal."""

    #: It is being started.  No new connection is routed to it.
    CANDIDATE = "candidate"
    #: New connections are routed to it.
    LIVE = "live"
    #: It was replaced, and finishes its open connections.
    DRAINING = "draining"
    #: It was stopped so that a candidate can start (``--disable-overlap``).  It is started again if the candidate fails.
    STANDBY = "standby"
    #: It was live before, and is being made live again.
    REINSTATING = "reinstating"
    #: It is being stopped, kept or removed.
    STOPPING = "stopping"
    #: It is stopped, and can be rolled back to.
    KEPT = "kept"


class Phase(Enum):
    """The phase of the daemon."""

    #: It adopts the versions that an earlier run left.
    STARTING = "starting"
    RUNNING = "running"
    #: It stops, and leaves the live version running (``--on-exit keep``).
    DETACHING = "detaching"
    STOPPING = "stopping"
    #: All versions have stopped.  What is left of the app is removed.
    SWEEPING = "sweeping"
    ENDED = "ended"


class Kind(Enum):
    """The reason for a handover: a deploy was requested, or a live version is restarted."""

    DEPLOY = "deploy"
    RESTART = "restart"


@dataclass(frozen=True)
class Version:
    """One version.  ``live_order`` orders the versions by the time at which they went live last; 0: never."""

    number: int
    role: Role
    recipe: Recipe | None = None
    share: int = 0
    live_order: int = 0
    #: Whether it has passed its readiness check.
    is_verified: bool = False
    #: Whether it has been live for the settle time (``--settle``).
    has_settled: bool = False
    #: None while its container runs.
    exit_code: int | None = None
    #: Whether its liveness check failed before it had settled.  It is not reinstated then.
    is_rejected: bool = False

    @property
    def has_exited(self) -> bool:
        """Whether its container has exited without being stopped."""
        return self.exit_code is not None

    @property
    def can_be_reinstated(self) -> bool:
        """Whether it can be made live again without a new container."""
        if self.role is Role.STANDBY:
            # Its readiness is checked again after its start.
            return True
        return self.role is Role.DRAINING and self.is_verified and not (self.is_rejected or self.has_exited)


@dataclass(frozen=True)
class Attempt:
    """A handover in progress, to version ``number``.

    If the engine is lost, it is started again with the same ``id`` when the engine is back; until then ``number`` is None.
    ``cancelled`` is the reason for its cancellation, or "".
    """

    id: int
    kind: Kind
    request: Request
    number: int | None
    losses: int = 0
    cancelled: str = ""


@dataclass(frozen=True)
class Restarts:
    """Restarts with backoff: ``wanted`` is restarted next, after ``count`` restarts in a row."""

    count: int = 0
    wanted: Recipe | None = None
    is_due: bool = False


@dataclass(frozen=True)
class Policy:
    """The options that decide.

    ``settle`` is in seconds; with ``keep``, a stop leaves the live version running; with ``if_changed``, a trigger that would
    change nothing is skipped.
    """

    restart: RestartPolicy
    settle: float = 0.0
    overlap: bool = True
    keep: bool = False
    if_changed: bool = False


@dataclass(frozen=True)
class State:
    """The life of one app.  What happens next depends on it alone."""

    policy: Policy
    phase: Phase = Phase.STARTING
    versions: Mapping[int, Version] = field(default_factory=dict)
    requests: Requests = field(default_factory=Requests)
    deploy: Attempt | None = None
    restart: Attempt | None = None
    restarts: Restarts = field(default_factory=Restarts)
    #: The candidate for which the live versions were stopped.
    standby_for: int | None = None
    #: How many reinstatements failed in a row, and whether the next one waits for its timer.
    failed_reinstatements: int = 0
    is_reinstatement_delayed: bool = False
    is_engine_lost: bool = False
    #: Whether an adoption is in progress, and how many failed in a row.
    is_adopting: bool = False
    failed_adoptions: int = 0
    next_number: int = 0
    next_attempt: int = 0
    next_live_order: int = 1

    @property
    def live(self) -> Mapping[int, int]:
        """Return the live versions, each with its share of the new connections in percent."""
        return {version.number: version.share for version in self.in_role(Role.LIVE)}

    @property
    def newest_live(self) -> Version | None:
        """Return the live version that went live last."""
        return max(self.in_role(Role.LIVE), key=lambda version: version.live_order, default=None)

    @property
    def steady_live(self) -> Version | None:
        """Return the only live version, if it has passed its readiness check and nothing is about to replace it."""
        live = self.in_role(Role.LIVE)
        if len(live) != 1 or self.in_role(Role.REINSTATING) or self.restarts.wanted is not None:
            return None
        [version] = live
        return version if version.is_verified and not (version.has_exited or version.is_rejected) else None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Return the handovers in progress."""
        return tuple(attempt for attempt in (self.deploy, self.restart) if attempt is not None)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was requested."""
        return self.phase in (Phase.DETACHING, Phase.STOPPING, Phase.SWEEPING, Phase.ENDED)

    def in_role(self, *roles: Role) -> tuple[Version, ...]:
        """Return the versions in any of these roles."""
        return tuple(version for version in self.versions.values() if version.role in roles)

    def role(self, number: int) -> Role | None:
        """Return the role of a version; None if it is gone."""
        version = self.versions.get(number)
        return None if version is None else version.role

    def attempt_of(self, number: int) -> Attempt | None:
        """Return the handover to this version, if it is in progress."""
        return next((attempt for attempt in self.attempts if attempt.number == number), None)

    def may_go_live(self, number: int) -> bool:
        """Whether new connections may be routed to this version, which is ready.  Checked just before the flip."""
        version = self.versions.get(number)
        if version is None or version.has_exited:
            return False
        if version.role is Role.REINSTATING:
            return self.phase in (Phase.RUNNING, Phase.DETACHING)
        attempt = self.attempt_of(number)
        return version.role is Role.CANDIDATE and attempt is not None and not attempt.cancelled

    def with_version(self, version: Version) -> State:
        """Return the state with this version added or replaced."""
        return replace(self, versions={**self.versions, version.number: version})

    def without_version(self, number: int) -> State:
        """Return the state without this version."""
        return replace(self, versions={key: version for key, version in self.versions.items() if key != number})
