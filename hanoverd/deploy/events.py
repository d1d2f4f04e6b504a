"""The events in the life of an app.  They come in any order.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanoverd.deploy.effects import TimerKind
from hanoverd.deploy.requests import Command
from hanoverd.spec.container import Recipe


@dataclass(frozen=True)
class Started:
    """The daemon has started."""


@dataclass(frozen=True)
class Adopted:
    """The versions that an earlier run left were found.

    ``serves`` is the one that new connections are routed to, and ``is_ready`` whether it passed its readiness check.
    ``draining`` versions finish their connections, each with whether it had been live; ``unusable`` ones are removed;
    ``kept`` ones can be rolled back to.  ``next_number`` is free.
    """

    serves: int | None = None
    recipe: Recipe | None = None
    is_ready: bool = False
    draining: tuple[tuple[int, bool], ...] = ()
    unusable: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    next_number: int = 0


@dataclass(frozen=True)
class AdoptionFailed:
    """The versions that an earlier run left could not be found."""

    error: str


@dataclass(frozen=True)
class AdoptionCancelled:
    """A stop came before the adoption was complete.  Nothing was changed."""


@dataclass(frozen=True)
class Triggered:
    """SIGHUP, a message of hookbot or the start requests a handover; ``revision`` is the commit, if it is known."""

    reason: str
    revision: str | None = None


@dataclass(frozen=True)
class CommandReceived:
    """A person requests a handover."""

    command: Command


@dataclass(frozen=True)
class NewestFound:
    """The newest revision of the source is ``newest``."""

    newest: str


@dataclass(frozen=True)
class CancelRequested:
    """A person cancels the handover that is in progress."""

    why: str


@dataclass(frozen=True)
class Paused:
    """Hold triggers from now on."""


@dataclass(frozen=True)
class Resumed:
    """Release the held triggers, and hold no more."""


@dataclass(frozen=True)
class Obtained:
    """A deploy has obtained its image from the source; ``revision`` is its commit or digest."""

    revision: str | None


@dataclass(frozen=True)
class LiveStopped:
    """The live versions are being stopped, so that the candidate ``number`` can start (``--disable-overlap``)."""

    number: int


@dataclass(frozen=True)
class Flipped:
    """New connections are routed to version ``number``, and no longer to ``replaced``."""

    number: int
    recipe: Recipe
    replaced: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class AttemptFailed:
    """A candidate failed before it went live."""

    number: int
    error: str


@dataclass(frozen=True)
class AttemptCancelled:
    """A candidate was cancelled."""

    number: int


@dataclass(frozen=True)
class Unchanged:
    """The candidate ``number`` would be the same as version ``live``, which is ready.  It has no container."""

    number: int
    live: int


@dataclass(frozen=True)
class NameTaken:
    """A container that is not this app's has the name of the candidate ``number``; ``next_number`` is free."""

    number: int
    next_number: int


@dataclass(frozen=True)
class EngineLost:
    """The engine stopped answering during the handover to this candidate."""

    number: int
    error: str


@dataclass(frozen=True)
class EngineBack:
    """The engine answers again."""


@dataclass(frozen=True)
class ReinstatementFailed:
    """A version could not be reinstated; ``is_gone``: a retry would not help."""

    number: int
    error: str
    is_gone: bool = False


@dataclass(frozen=True)
class Exited:
    """A container has exited."""

    number: int
    code: int


@dataclass(frozen=True)
class Unhealthy:
    """A live version has failed its liveness check too often in a row."""

    number: int
    reason: str


@dataclass(frozen=True)
class DrainEnded:
    """A draining version has finished its connections, or its time limit is over."""

    number: int


@dataclass(frozen=True)
class Kept:
    """A stopped version is kept for a rollback."""

    number: int


@dataclass(frozen=True)
class Gone:
    """A version's container was removed, or its removal was given up."""

    number: int


@dataclass(frozen=True)
class PruneFailed:
    """Old versions or images could not be removed."""


@dataclass(frozen=True)
class TimerExpired:
    """A timer has expired."""

    timer: TimerKind
    number: int = 0


@dataclass(frozen=True)
class StopRequested:
    """The daemon is stopping.  ``ends_app``: stop the live version too, whatever the policy says."""

    ends_app: bool = False


@dataclass(frozen=True)
class KillRequested:
    """A second signal: kill what is being stopped."""


@dataclass(frozen=True)
class Swept:
    """All rules and containers that were left are removed."""


Event = (
    Started
    | Adopted
    | AdoptionFailed
    | AdoptionCancelled
    | Triggered
    | CommandReceived
    | NewestFound
    | CancelRequested
    | Paused
    | Resumed
    | Obtained
    | LiveStopped
    | Flipped
    | AttemptFailed
    | AttemptCancelled
    | Unchanged
    | NameTaken
    | EngineLost
    | EngineBack
    | ReinstatementFailed
    | Exited
    | Unhealthy
    | DrainEnded
    | Kept
    | Gone
    | PruneFailed
    | TimerExpired
    | StopRequested
    | KillRequested
    | Swept
)
