"""What is to be done for an app.  Pure: the orchestrator does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hanoverd.deploy.requests import Command
from hanoverd.deploy.state import Attempt


class TimerKind(Enum):
    """What a timer is for."""

    #: The next try to take over what an earlier run left.
    ADOPT = "adopt"
    #: The next restart of a version that exited.
    RESTART = "restart"
    #: The next try to make a version live again.
    REINSTATE = "reinstate"
    #: A version has been live long enough for restarts to be counted from 0 again.
    STABLE = "stable"
    #: A version has been live for the settle time.
    SETTLED = "settled"


@dataclass(frozen=True)
class Adopt:
    """Find out what an earlier run left, and take over the version that serves."""


@dataclass(frozen=True)
class CancelAdoption:
    """Stop taking over; what serves goes on serving."""


@dataclass(frozen=True)
class StartAttempt:
    """Bring up a version, as ``attempt`` says."""

    attempt: Attempt


@dataclass(frozen=True)
class CancelAttempt:
    """Cancel the candidate ``number``."""

    number: int
    why: str


@dataclass(frozen=True)
class Reinstate:
    """Make a version live again that was live before."""

    number: int


@dataclass(frozen=True)
class CancelReinstatement:
    """Stop making it live again."""

    number: int


@dataclass(frozen=True)
class RemoveRoutes:
    """Remove the routes, if they still lead to version ``number``; None: wherever they lead."""

    number: int | None = None


@dataclass(frozen=True)
class Retire:
    """Drain a version if ``drain``, stop it, and put it away or, if not ``keep``, remove it."""

    number: int
    drain: bool
    keep: bool


@dataclass(frozen=True)
class EndDrain:
    """Do not wait for the connections of a draining version any longer."""

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
    """A live version exited: report how, delete the connections that it never answered, and remove its container.

    ``successor`` serves in its place; a restart follows after ``delay`` seconds, or none (None).
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
    """Do not send it."""

    timer: TimerKind
    number: int = 0


@dataclass(frozen=True)
class WaitForEngine:
    """Wait until the engine answers."""


@dataclass(frozen=True)
class StopWaitingForEngine:
    """Do not."""


@dataclass(frozen=True)
class ReportLive:
    """An attempt has succeeded."""

    attempt: Attempt


@dataclass(frozen=True)
class ReportFailed:
    """An attempt has failed.  ``serving`` is live; a restart follows after ``delay`` seconds, or none (None)."""

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
class ReportEngineLost:
    """An attempt starts anew when the engine is back."""

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
    """A live version failed its liveness check.  Either ``successor``, which it replaced, takes its place again, or a
    restart follows after ``delay`` seconds, or none (None).
    """

    number: int
    reason: str
    successor: int | None
    delay: float | None


@dataclass(frozen=True)
class ReportReinstatementFailed:
    """A version could not be made live again; the next try follows after ``delay`` seconds, or none (None)."""

    number: int
    error: str
    delay: float | None


@dataclass(frozen=True)
class ReportAdoptionFailed:
    """Taking over is tried again after ``delay`` seconds."""

    error: str
    delay: float


@dataclass(frozen=True)
class Prune:
    """Remove versions and images that are not needed any more."""


@dataclass(frozen=True)
class SavePause:
    """Remember over a restart whether triggers are held."""

    is_paused: bool


@dataclass(frozen=True)
class Kill:
    """Kill what is being stopped, and give up on what waits."""


@dataclass(frozen=True)
class Sweep:
    """Remove the rules, and stop and remove every container of the app that is left."""


@dataclass(frozen=True)
class Finish:
    """All is done: the stop is complete."""


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
