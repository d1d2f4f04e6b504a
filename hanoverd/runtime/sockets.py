"""The control sockets of running daemons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hanoverd.runtime.state_folder import state_folder

#: The environment variable with the folder of the sockets.
VARIABLE = "HANOVERD_RUNTIME_DIR"

_SYSTEM = Path("/run/hanoverd")

_ENDING = ".sock"


def runtime_folder(environ: Mapping[str, str], uid: int) -> Path:
    """Return the folder for the socket of a daemon of user ``uid``.

    It is in /run for root (file hierarchy standard), and in XDG_RUNTIME_DIR for users (XDG base directory specification).
    Without that, it is in the user's state folder. It is never in /tmp, where another user could create it first.
    """
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    if uid == 0:
        return _SYSTEM
    if environ.get("XDG_RUNTIME_DIR"):
        return Path(environ["XDG_RUNTIME_DIR"], "hanoverd")
    return state_folder(environ, uid) / "run"


def searched_folders(environ: Mapping[str, str], uid: int) -> list[Path]:
    """Return the folders in which a command of user ``uid`` searches for sockets; for root, the folders of all users."""
    if environ.get(VARIABLE):
        return [Path(environ[VARIABLE])]
    if uid == 0:
        return [_SYSTEM, *sorted(Path("/run/user").glob("*/hanoverd"))]
    # The daemon may have been started with another environment, by cron for example, or by an older version (/tmp).
    others = [Path(f"/run/user/{uid}/hanoverd"), state_folder(environ, uid) / "run", Path(f"/tmp/hanoverd-{uid}")]  # noqa: S108  # each socket's owner is checked
    return list(dict.fromkeys([runtime_folder(environ, uid), _SYSTEM, *others]))


def socket_of(folder: Path, app: str) -> Path:
    """Return the path of an app's socket."""
    return folder / f"{app}{_ENDING}"


def lock_file_of(folder: Path, app: str) -> Path:
    """Return the path of the file that the daemon of an app has locked."""
    return folder / f"{app}.lock"


def pause_file_of(folder: Path, app: str) -> Path:
    """Return the path of the file that exists while an app's handovers are paused."""
    return folder / f"{app}.paused"


def app_of(socket: Path) -> str | None:
    """Return the app of a socket; None for another file."""
    return socket.name.removesuffix(_ENDING) if socket.name.endswith(_ENDING) else None
