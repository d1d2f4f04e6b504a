"""What can happen to an app, in any order.  Pure."""

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
    """What an earlier run left was found: the version that ``serves``, whether that ``is_ready``; those that finish their
    connections, with whether they had been live; those to be removed; those that are kept; and the next free number.
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
    """It could not be found out what an earlier run left."""

    error: str


@dataclass(frozen=True)
class AdoptionCancelled:
    """The stop came before adoption was complete; nothing was changed."""


@dataclass(frozen=True)
class Triggered:
    """A handover was asked for by SIGHUP, a message or the start; ``revision`` is the commit, if one was named."""

    reason: str
    revision: str | None = None


@dataclass(frozen=True)
class CommandReceived:
    """A handover was asked for by a person."""

    command: Command


@dataclass(frozen=True)
class NewestFound:
    """The source was asked, and has ``newest``."""

    newest: str


@dataclass(frozen=True)
class CancelRequested:
    """A person wants the handover under way cancelled."""

    why: str


@dataclass(frozen=True)
class Paused:
    """Triggers are to be held."""


@dataclass(frozen=True)
class Resumed:
    """Triggers are to be held no longer."""


@dataclass(frozen=True)
class Obtained:
    """A deploy has obtained its image from the source, of ``revision``."""

    revision: str | None


@dataclass(frozen=True)
class LiveStopped:
    """The live versions are stopped so that the candidate ``number`` can start (``--disable-overlap``)."""

    number: int


@dataclass(frozen=True)
class Flipped:
    """New connections are routed to version ``number``, which is ready, and no longer to ``replaced``."""

    number: int
    recipe: Recipe
    replaced: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class AttemptFailed:
    """A candidate did not go live."""

    number: int
    error: str


@dataclass(frozen=True)
class AttemptCancelled:
    """A candidate was cancelled."""

    number: int


@dataclass(frozen=True)
class NameTaken:
    """A container that is not this app's has the name of the candidate ``number``; ``next_number`` is free."""

    number: int
    next_number: int


@dataclass(frozen=True)
class EngineLost:
    """The engine was lost while this candidate was brought up."""

    number: int
    error: str


@dataclass(frozen=True)
class EngineBack:
    """The engine answers again."""


@dataclass(frozen=True)
class ReinstatementFailed:
    """A version could not be made live again; ``is_gone``: nor can it be later."""

    number: int
    error: str
    is_gone: bool = False


@dataclass(frozen=True)
class Exited:
    """A container does not run any more."""

    number: int
    code: int


@dataclass(frozen=True)
class Unhealthy:
    """A live version has failed its liveness check too often."""

    number: int
    reason: str


@dataclass(frozen=True)
class DrainEnded:
    """A draining version has finished its connections, or its time is up."""

    number: int


@dataclass(frozen=True)
class Kept:
    """A stopped version was put away, to roll back to."""

    number: int


@dataclass(frozen=True)
class Gone:
    """A version's container was removed, or given up."""

    number: int


@dataclass(frozen=True)
class TimerExpired:
    """A timer has run out."""

    timer: TimerKind
    number: int = 0


@dataclass(frozen=True)
class StopRequested:
    """The daemon stops.  ``ends_app``: the live version too, whatever the policy says."""

    ends_app: bool = False


@dataclass(frozen=True)
class KillRequested:
    """A second signal: what is being stopped must end at once."""


@dataclass(frozen=True)
class Swept:
    """The last look has removed what was left."""


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
    | NameTaken
    | EngineLost
    | EngineBack
    | ReinstatementFailed
    | Exited
    | Unhealthy
    | DrainEnded
    | Kept
    | Gone
    | TimerExpired
    | StopRequested
    | KillRequested
    | Swept
)
