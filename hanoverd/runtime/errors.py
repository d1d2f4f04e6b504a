"""What can go wrong, in words for the one who runs the daemon: what happened, to what, and what to do."""

from __future__ import annotations


class HanoverdError(Exception):
    """Anything that hanoverd can explain; its text is a message for the user."""


class UsageError(HanoverdError):
    """The command line is wrong."""


class ProgramMissing(HanoverdError):
    """A program that must be on PATH is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the program {name} is not on PATH: install Debian's package of that name, or add its folder to PATH"
        )
        self.name = name


class ProgramNotStarted(HanoverdError):
    """A program is there, and the system cannot start it: for want of processes, memory or file descriptors."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the program {name} could not be started: {reason}")
        self.name = name


class EngineError(HanoverdError):
    """The Docker engine did not do what it was asked."""


class EngineMisconfigured(EngineError):
    """What the environment says of the engine cannot be used."""


class EngineUnreachable(EngineError):
    """No engine answers, or the connection to it was lost."""


class EnginePermission(EngineError):
    """The engine is there, and this user may not talk to it."""


class EngineRefused(EngineError):
    """The engine answered with an error; ``status`` is the HTTP status of its answer."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: the engine says: {reason}")
        self.status = status


class OperationFailed(EngineError):
    """A build, pull, push or load failed; the text is the engine's."""


class NotFound(EngineRefused):
    """There is no such image or container."""


class Conflict(EngineRefused):
    """The name is taken, or the container is not in a state for this."""


class ObtainFailed(HanoverdError):
    """The image could not be built, pulled or loaded."""


class MissingExtra(ObtainFailed):
    """A library that is needed to obtain the image is not installed."""


class LoginFailed(ObtainFailed):
    """The login for a registry could not be found out."""


class RegistryBusy(ObtainFailed):
    """The registry wants to be asked less often."""


class ControlError(HanoverdError):
    """A running hanoverd cannot be controlled, or did not do what it was told."""


class HookbotError(HanoverdError):
    """There is no connection to hookbot, or none any more."""


class NotifyFailed(HanoverdError):
    """Somebody who wants to be told could not be."""


class VersionFailed(HanoverdError):
    """A version did not become ready."""


class NothingKept(HanoverdError):
    """There is no such earlier version to go back to."""


class NameInUse(HanoverdError):
    """Another container has the name of a new version; the name with ``next_number`` is free."""

    def __init__(self, name: str, next_number: int) -> None:
        super().__init__(f"another container is named {name}")
        self.next_number = next_number


class FirewallError(HanoverdError):
    """The firewall could not be read or changed."""


class PortTaken(HanoverdError):
    """A host port belongs to another."""


class NameTaken(HanoverdError):
    """Another hanoverd serves an app of this name."""
