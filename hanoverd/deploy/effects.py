"""The effects that follow from an event.  Pure: ``orchestrator`` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hanoverd.deploy.requests import Command
from hanoverd.deploy.state import Attempt


class TimerKind(Enum):
    """What a timer is for."""

    #: The next attempt to adopt the versions that an earlier run left.
    ADOPT = "adopt"
    #: The next restart of a version that exited.
    RESTART = "restart"
    #: The next attempt to reinstate a version.
    REINSTATE = "reinstate"
    #: A version has been live for so long that restarts are counted from 0 again.
    STABLE = "stable"
    #: A version has been live for the settle time.
    SETTLED = "settled"
    #: The next attempt to remove old versions and images.
    PRUNE = "prune"


@dataclass(frozen=True)
class Adopt:
    """Find the versions that an earlier run left, and take over the one that serves."""


@dataclass(frozen=True)
class CancelAdoption:
    """Cancel the adoption.  The version that serves keeps serving."""


@dataclass(frozen=True)
class StartAttempt:
    """Start the handover ``attempt``."""

    attempt: Attempt


@dataclass(frozen=True)
class CancelAttempt:
    """Cancel the handover to the candidate ``number``."""

    number: int
    why: str


@dataclass(frozen=True)
class Reinstate:
    """Make a version live again that was live before."""

    number: int


@dataclass(frozen=True)
class CancelReinstatement:
    """Cancel the reinstatement of a version."""

    number: int


@dataclass(frozen=True)
class RemoveRoutes:
    """Remove the routes to version ``number``; None: to any version."""

    number: int | None = None


@dataclass(frozen=True)
class Retire:
    """Drain a version if ``drain``, stop it, and keep it for a rollback if ``keep``, else remove it."""

    number: int
    drain: bool
    keep: bool


@dataclass(frozen=True)
class EndDrain:
    """Stop waiting for the connections of a draining version."""

    number: int


@dataclass(frozen=True)
class Detach:
    """Stop monitoring a version whose container keeps running; ``serves``: new connections are routed to it."""

    number: int
    serves: bool


@dataclass(frozen=True)
class Remove:
    """Remove the container of a version."""

    number: int


@dataclass(frozen=True)
class CleanUpDead:
    """Report a live version that has exited, delete the connections that it never answered, and remove its container.

    ``successor`` serves in its place.  A restart follows after ``delay`` seconds (None: no restart).
    """

    number: int
    code: int
    successor: int | None
    delay: float | None


@dataclass(frozen=True)
class StartTimer:
    """Send ``TimerExpired`` after ``seconds``."""

    timer: TimerKind
    seconds: float
    number: int = 0


@dataclass(frozen=True)
class CancelTimer:
    """Cancel a timer."""

    timer: TimerKind
    number: int = 0


@dataclass(frozen=True)
class WaitForEngine:
    """Send ``EngineBack`` when the engine answers."""


@dataclass(frozen=True)
class StopWaitingForEngine:
    """Stop waiting for the engine."""


@dataclass(frozen=True)
class ReportLive:
    """An attempt has succeeded."""

    attempt: Attempt


@dataclass(frozen=True)
class ReportFailed:
    """An attempt has failed.  ``serving`` is live.  A restart follows after ``delay`` seconds (None: no restart)."""

    attempt: Attempt
    number: int
    error: str
    serving: int | None
    delay: float | None


@dataclass(frozen=True)
class ReportCancelled:
    """An attempt was cancelled."""

    attempt: Attempt


@dataclass(frozen=True)
class ReportUnchanged:
    """An attempt has found that version ``live`` is what it would create."""

    attempt: Attempt
    live: int


@dataclass(frozen=True)
class ReportEngineLost:
    """An attempt is started again when the engine is back."""

    attempt: Attempt
    error: str


@dataclass(frozen=True)
class ReportDropped:
    """A command was replaced, or cancelled, before its handover started."""

    command: Command
    why: str


@dataclass(frozen=True)
class ReportHeld:
    """A trigger waits for ``resume``."""

    reason: str


@dataclass(frozen=True)
class ReportUnhealthy:
    """A live version failed its liveness check.

    ``successor`` is reinstated in its place; if there is none, a restart follows after ``delay`` seconds (None: no restart).
    """

    number: int
    reason: str
    successor: int | None
    delay: float | None


@dataclass(frozen=True)
class ReportReinstatementFailed:
    """A version could not be reinstated.  The next attempt follows after ``delay`` seconds (None: no more)."""

    number: int
    error: str
    delay: float | None


@dataclass(frozen=True)
class ReportAdoptionFailed:
    """The adoption failed.  It is retried after ``delay`` seconds."""

    error: str
    delay: float


@dataclass(frozen=True)
class Prune:
    """Remove the versions and images that are not needed any more."""


@dataclass(frozen=True)
class SavePause:
    """Save whether triggers are held, for the next start of hanoverd."""

    is_paused: bool


@dataclass(frozen=True)
class Kill:
    """Kill what is being stopped, and give up pending removals."""


@dataclass(frozen=True)
class Sweep:
    """Remove all rules and containers of the app that are left."""


@dataclass(frozen=True)
class Finish:
    """The stop is complete."""


Effect = (
    Adopt
    | CancelAdoption
    | StartAttempt
    | CancelAttempt
    | Reinstate
    | CancelReinstatement
    | RemoveRoutes
    | Retire
    | EndDrain
    | Detach
    | Remove
    | CleanUpDead
    | StartTimer
    | CancelTimer
    | WaitForEngine
    | StopWaitingForEngine
    | ReportLive
    | ReportFailed
    | ReportCancelled
    | ReportUnchanged
    | ReportEngineLost
    | ReportDropped
    | ReportHeld
    | ReportUnhealthy
    | ReportReinstatementFailed
    | ReportAdoptionFailed
    | Prune
    | SavePause
    | Kill
    | Sweep
    | Finish
)
