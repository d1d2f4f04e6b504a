"""The Unix socket of a running daemon, which only its own user and root may use."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.web.server import Request, Site

from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.sockets import VARIABLE, runtime_folder, socket_of

_OWNER_ONLY = 0o600

#: struct ucred: pid, uid, gid (unix(7)).
_CREDENTIALS = "3i"


def listen(reactor: IReactorUNIX, environ: Mapping[str, str], app: str, site: Site) -> IListeningPort:
    """Serve ``site`` on the socket of ``app``, and replace one that a killed daemon left.  Closing it removes it.

    Fails with ``ControlError``.
    """
    folder = runtime_folder(environ, os.geteuid())
    path = socket_of(folder, app)
    try:
        folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        _check_owner(folder)
        _remove_stale(path, app)
        return reactor.listenUNIX(str(path), site, mode=_OWNER_ONLY)  # type: ignore[arg-type]  # a Site is a Factory
    except (OSError, CannotListenError) as error:
        raise ControlError(
            f"cannot create the control socket {path}: {error}: set {VARIABLE} to a folder that this user may write to"
        ) from None


def is_allowed(request: Request) -> bool:
    """Return whether the client runs as our own user or as root (SO_PEERCRED, unix(7))."""
    transport: Any = request.transport
    packed = transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, _ = struct.unpack(_CREDENTIALS, packed)
    return uid in (0, os.geteuid())


def _check_owner(folder: Path) -> None:
    """Refuse the folder of another user, who could replace the socket."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, os.geteuid()):
        raise ControlError(f"{folder} belongs to another user: set {VARIABLE} to a folder of your own")


def _remove_stale(path: Path, app: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    # A daemon in this network namespace would hold the app's name.
    raise ControlError(
        f"a hanoverd that serves an app named {app} in another network namespace listens on {path}: give this one "
        f"another --name, or set {VARIABLE} to another folder"
    )
