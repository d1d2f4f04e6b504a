"""The folder for what hanoverd remembers of its apps over a stop and a reboot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Names the folder.
VARIABLE = "HANOVERD_STATE_DIR"

_SYSTEM = Path("/var/lib/hanoverd")


def state_folder(environ: Mapping[str, str], uid: int) -> Path:
    """Return the folder for a daemon of user ``uid``: /var/lib for root (file hierarchy standard), for others the folder of
    the XDG base directory specification.
    """
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    if uid == 0:
        return _SYSTEM
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"], "hanoverd")
    return Path(environ.get("HOME") or "/", ".local/state/hanoverd")


def port_file_of(folder: Path, app: str) -> Path:
    """Return the file that holds the host ports that were picked for an app."""
    return folder / f"{app}.ports"


def number_file_of(folder: Path, app: str) -> Path:
    """Return the file that holds the number of an app's next version."""
    return folder / f"{app}.next-version"


def history_file_of(folder: Path, app: str) -> Path:
    """Return the file that holds the history of an app's handovers.  It has a folder of its own, which only its user may read."""
    return folder / f"{app}.history" / "history.sqlite3"


def token_file_of(folder: Path) -> Path:
    """Return the file that holds the hash of the token for the page in the browser.  No file of an app ends so."""
    return folder / "page.token"
