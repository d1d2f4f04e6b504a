"""The paths of the control sockets of running daemons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Names the folder, for the daemon and for the commands.
VARIABLE = "HANOVERD_RUNTIME_DIR"

_SYSTEM = Path("/run/hanoverd")

_ENDING = ".sock"


def runtime_folder(environ: Mapping[str, str], uid: int) -> Path:
    """Return the folder for the socket of a daemon of user ``uid``: /run for root (file hierarchy standard), for others the
    folder of the XDG base directory specification, else a folder in /tmp.
    """
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    if uid == 0:
        return _SYSTEM
    if environ.get("XDG_RUNTIME_DIR"):
        return Path(environ["XDG_RUNTIME_DIR"], "hanoverd")
    return Path(f"/tmp/hanoverd-{uid}")  # noqa: S108  # its owner is checked


def searched_folders(environ: Mapping[str, str], uid: int) -> list[Path]:
    """Return the folders where a command of user ``uid`` looks for sockets: for root, of all users who are logged in."""
    if environ.get(VARIABLE):
        return [Path(environ[VARIABLE])]
    others = sorted(Path("/run/user").glob("*/hanoverd")) if uid == 0 else []
    return list(dict.fromkeys([runtime_folder(environ, uid), _SYSTEM, *others]))


def socket_of(folder: Path, app: str) -> Path:
    """Return the path of an app's socket."""
    return folder / f"{app}{_ENDING}"


def pause_file_of(folder: Path, app: str) -> Path:
    """Return the path of the file that exists while an app is paused."""
    return folder / f"{app}.paused"


def app_of(socket: Path) -> str | None:
    """Return the app of a socket; None for another file."""
    return socket.name.removesuffix(_ENDING) if socket.name.endswith(_ENDING) else None
