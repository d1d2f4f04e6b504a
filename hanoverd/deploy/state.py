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
    """What a version's container is for.  A container has exactly one role from its creation to its removal."""

    #: It is being brought up; no new connection is routed to it.
    CANDIDATE = "candidate"
    #: New connections are routed to it.
    LIVE = "live"
    #: It was replaced, and finishes its connections.
    DRAINING = "draining"
    #: It was stopped to make room for a candidate (``--disable-overlap``), and is started again if that one fails.
    STANDBY = "standby"
    #: It was live before, and is being made live again.
    REINSTATING = "reinstating"
    #: It is being stopped, put away or removed.
    STOPPING = "stopping"
    #: It is stopped, and is there to roll back to.
    KEPT = "kept"


class Phase(Enum):
    """Where the daemon is in its own life."""

    #: What an earlier run left is being taken over.
    STARTING = "starting"
    RUNNING = "running"
    #: A stop that leaves the live version running (``--on-exit keep``).
    DETACHING = "detaching"
    STOPPING = "stopping"
    #: All versions have stopped, and a last look removes what is left.
    SWEEPING = "sweeping"
    ENDED = "ended"


class Kind(Enum):
    """Why a version is brought up: a deploy was requested, or a live version is started again."""

    DEPLOY = "deploy"
    RESTART = "restart"


@dataclass(frozen=True)
class Version:
    """One version.  ``turn`` orders the versions by when they went live last; 0 before that."""

    number: int
    role: Role
    recipe: Recipe | None = None
    share: int = 0
    live_order: int = 0
    #: Whether it has passed its readiness check.
    is_verified: bool = False
    #: Whether it has been live for the settle time (``--settle``).
    has_settled: bool = False
    #: None as long as its container runs.
    exit_code: int | None = None
    #: Whether its liveness check failed before it had settled: it is not rolled back to.
    is_rejected: bool = False

    @property
    def has_exited(self) -> bool:
        """Whether its container has exited by itself."""
        return self.exit_code is not None

    @property
    def can_be_reinstated(self) -> bool:
        """Whether it could be made live again without a new container."""
        if self.role is Role.STANDBY:
            # It is checked again when it was started.
            return True
        return self.role is Role.DRAINING and self.is_verified and not (self.is_rejected or self.has_exited)


@dataclass(frozen=True)
class Attempt:
    """A handover under way.  ``id`` stays the same if it starts anew after the engine was lost; ``number`` is then None
    until the engine is back.  ``cancelled`` says why it was cancelled.
    """

    id: int
    kind: Kind
    request: Request
    number: int | None
    losses: int = 0
    cancelled: str = ""


@dataclass(frozen=True)
class Restarts:
    """Restarts with backoff: of ``wanted``, after ``count`` in a row."""

    count: int = 0
    wanted: Recipe | None = None
    is_due: bool = False


@dataclass(frozen=True)
class Policy:
    """What the user wants: ``settle`` in seconds, ``keep`` leaves the live version running at a stop."""

    restart: RestartPolicy
    settle: float = 0.0
    overlap: bool = True
    keep: bool = False


@dataclass(frozen=True)
class State:
    """All that decides what happens next."""

    policy: Policy
    phase: Phase = Phase.STARTING
    versions: Mapping[int, Version] = field(default_factory=dict)
    requests: Requests = field(default_factory=Requests)
    deploy: Attempt | None = None
    restart: Attempt | None = None
    restarts: Restarts = field(default_factory=Restarts)
    #: The candidate for which the live versions were stopped.
    standby_for: int | None = None
    #: How often in a row a version could not be made live again, and whether the next try waits for its timer.
    failed_reinstatements: int = 0
    is_reinstatement_delayed: bool = False
    is_engine_lost: bool = False
    #: Whether taking over is under way, and how often in a row it has failed.
    is_adopting: bool = False
    failed_adoptions: int = 0
    next_number: int = 0
    next_attempt: int = 0
    next_live_order: int = 1

    @property
    def live(self) -> Mapping[int, int]:
        """The live versions, each with its share of the new connections in percent."""
        return {version.number: version.share for version in self.in_role(Role.LIVE)}

    @property
    def newest_live(self) -> Version | None:
        """The live version that went live last."""
        return max(self.in_role(Role.LIVE), key=lambda version: version.live_order, default=None)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The handovers under way."""
        return tuple(attempt for attempt in (self.deploy, self.restart) if attempt is not None)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self.phase in (Phase.DETACHING, Phase.STOPPING, Phase.SWEEPING, Phase.ENDED)

    def in_role(self, *roles: Role) -> tuple[Version, ...]:
        """The versions in one of these roles."""
        return tuple(version for version in self.versions.values() if version.role in roles)

    def role(self, number: int) -> Role | None:
        """The role of a version; None if it is gone."""
        version = self.versions.get(number)
        return None if version is None else version.role

    def attempt_of(self, number: int) -> Attempt | None:
        """The handover that brings this version up."""
        return next((attempt for attempt in self.attempts if attempt.number == number), None)

    def may_go_live(self, number: int) -> bool:
        """Whether new connections may be routed to this version, which is ready: asked in the last moment."""
        version = self.versions.get(number)
        if version is None or version.has_exited:
            return False
        if version.role is Role.REINSTATING:
            return self.phase in (Phase.RUNNING, Phase.DETACHING)
        attempt = self.attempt_of(number)
        return version.role is Role.CANDIDATE and attempt is not None and not attempt.cancelled

    def with_version(self, version: Version) -> State:
        """With this version, in place of what was known of it."""
        return replace(self, versions={**self.versions, version.number: version})

    def without_version(self, number: int) -> State:
        """Without a version that is gone."""
        return replace(self, versions={key: version for key, version in self.versions.items() if key != number})
