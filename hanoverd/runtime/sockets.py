"""Where the sockets are by which running daemons are controlled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Names the folder, for the daemon and for the commands.
VARIABLE = "HANOVERD_RUNTIME_DIR"

_SYSTEM = Path("/run/hanoverd")

_ENDING = ".sock"


def runtime_folder(environ: Mapping[str, str], uid: int) -> Path:
    """Where a daemon of user ``uid`` makes its socket: as the file hierarchy standard has it (/run), as the XDG base
    directory specification has it for users, else a folder in /tmp.
    """
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    if uid == 0:
        return _SYSTEM
    if environ.get("XDG_RUNTIME_DIR"):
        return Path(environ["XDG_RUNTIME_DIR"], "hanoverd")
    return Path(f"/tmp/hanoverd-{uid}")  # noqa: S108  # whose it is, is looked at


def searched_folders(environ: Mapping[str, str], uid: int) -> list[Path]:
    """Where a command of user ``uid`` looks for sockets; root finds those of all users who are logged in."""
    if environ.get(VARIABLE):
        return [Path(environ[VARIABLE])]
    others = sorted(Path("/run/user").glob("*/hanoverd")) if uid == 0 else []
    return list(dict.fromkeys([runtime_folder(environ, uid), _SYSTEM, *others]))


def socket_of(folder: Path, app: str) -> Path:
    """The socket of an app."""
    return folder / f"{app}{_ENDING}"


def pause_file_of(folder: Path, app: str) -> Path:
    """The file that is there as long as an app's handovers are paused."""
    return folder / f"{app}.paused"


def app_of(socket: Path) -> str | None:
    """Whose socket it is; None for a file that is none."""
    return socket.name.removesuffix(_ENDING) if socket.name.endswith(_ENDING) else None
