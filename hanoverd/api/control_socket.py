"""The socket by which a running daemon is controlled: a unix socket that its own user, and root, may use."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.web.server import Request, Site

from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.sockets import VARIABLE, runtime_folder, socket_of

_ONLY_OURS = 0o600

#: struct ucred: pid, uid, gid (unix(7)).
_CREDENTIALS = "3i"


def listen(reactor: Any, environ: Mapping[str, str], app: str, site: Site) -> IListeningPort:
    """Serve ``site`` at the socket of ``app``, in place of one that a dead daemon has left; closing it removes it.

    Fails with ``ControlError``.
    """
    folder = runtime_folder(environ, os.geteuid())
    path = socket_of(folder, app)
    try:
        folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        _check_owner(folder)
        _remove_dead(path, app)
        listening: IListeningPort = reactor.listenUNIX(str(path), site, mode=_ONLY_OURS)
    except Exception as error:
        if isinstance(error, ControlError):
            raise
        # OSError, or Twisted's CannotListenError.
        raise ControlError(
            f"cannot make the socket {path}, by which hanoverd is controlled: {error}: set {VARIABLE} to a folder that "
            "this user may write to"
        ) from None
    return listening


def may_ask(request: Request) -> bool:
    """Whether the one who asks is of our own user, or root (SO_PEERCRED, unix(7))."""
    transport: Any = request.transport
    packed = transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, _ = struct.unpack(_CREDENTIALS, packed)
    return uid in (0, os.geteuid())


def _check_owner(folder: Path) -> None:
    """A folder that another user made, where everybody may make some, would be in that user's hands."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, os.geteuid()):
        raise ControlError(f"{folder} belongs to somebody else: set {VARIABLE} to a folder of your own")


def _remove_dead(path: Path, app: str) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    # Not one of this network namespace: it would hold the app's name here.
    raise ControlError(
        f"a hanoverd that serves an app named {app} in another network namespace answers at {path}: give this one "
        f"another --name, or set {VARIABLE} to another folder"
    )
