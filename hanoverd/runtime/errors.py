"""The errors whose text is a message for the user: what happened, to what, why, and what to do."""

from __future__ import annotations

from hanoverd.text.lines import LONGEST_LINE, shortened


class HanoverdError(Exception):
    """An error that is not a bug; its text is a message for the user."""


class UsageError(HanoverdError):
    """The command line is invalid."""


class InputFileFailed(HanoverdError):
    """A file of variables or labels cannot be read, or is invalid."""


class ProgramMissing(HanoverdError):
    """A program that must be on PATH is missing."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the program {name} is not on PATH: install Debian's package of that name, or add its folder to PATH"
        )
        self.name = name


class ProgramNotStarted(HanoverdError):
    """The system cannot start a program, for example without free memory, processes or file descriptors."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot start the program {name}: {reason}")
        self.name = name


class OutputTooLong(HanoverdError):
    """A program wrote too much, and was killed."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"{name} wrote more than {limit} bytes, and was killed")


class EngineError(HanoverdError):
    """A request to the Docker engine failed."""


class EngineMisconfigured(EngineError):
    """The settings for the engine are invalid."""


class EngineUnreachable(EngineError):
    """No engine answers, or the connection to it was lost."""


class EnginePermission(EngineError):
    """The user has no permission to use the engine."""


class EngineRefused(EngineError):
    """The engine answered with an error; ``status`` is the HTTP status of its answer, ``reason`` its text."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: the engine says: {shortened(reason, LONGEST_LINE)}")
        self.what = what
        self.status = status
        self.reason = reason


class OperationFailed(EngineError):
    """A build, pull, push or load failed; the text is the engine's."""


class RequestRefused(HanoverdError):
    """The engine would not create a container with the options of the command line."""


class NotFound(EngineRefused):
    """There is no such image or container."""


class Conflict(EngineRefused):
    """The name is in use, or the container is in the wrong state."""


class ObtainFailed(HanoverdError):
    """The image could not be built, pulled or loaded."""


class CommitRefused(ObtainFailed):
    """A trigger names a commit that may not be deployed: it is not on the branch, or older than what was deployed."""


class MissingExtra(ObtainFailed):
    """A library that is needed to obtain the image is not installed."""


class LoginFailed(ObtainFailed):
    """The login for a registry cannot be read."""


class RegistryBusy(ObtainFailed):
    """The registry limits the rate of requests."""


class StateRefused(HanoverdError):
    """A folder in which hanoverd keeps its state was not created by hanoverd, or other users can change it."""


class ControlError(HanoverdError):
    """A running hanoverd does not answer, or a command for it failed."""


class WebError(HanoverdError):
    """The page in the browser cannot be served."""


class HookbotError(HanoverdError):
    """There is no connection to hookbot, or a request to it failed."""


class NotifyFailed(HanoverdError):
    """A webhook could not be called."""


class VersionFailed(HanoverdError):
    """A version did not become ready."""


class NothingKept(HanoverdError):
    """There is no such earlier version for a rollback."""


class CidFileInUse(HanoverdError):
    """The file of ``--cidfile`` names a container that is not the app's."""


class NameInUse(HanoverdError):
    """Another container has the name of a new version; the name with ``next_number`` is free."""

    def __init__(self, name: str, next_number: int) -> None:
        super().__init__(f"another container is named {name}")
        self.next_number = next_number


class FirewallError(HanoverdError):
    """The firewall could not be read or changed."""


class PortTaken(HanoverdError):
    """A host port is in use."""


class NameTaken(HanoverdError):
    """Another hanoverd runs an app with this name."""
