"""The Unix socket of a running daemon, which only its own user and root may use."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.web.server import Site

from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.private_files import make_folder
from hanoverd.runtime.sockets import VARIABLE, runtime_folder, socket_of

_OWNER_ONLY = 0o600

#: struct ucred: pid, uid, gid (unix(7)).
_CREDENTIALS = "3i"


def listen(reactor: IReactorUNIX, environ: Mapping[str, str], app: str, site: Site) -> IListeningPort:
    """Serve ``site`` on the socket of ``app``, and replace one that a killed daemon left.  Closing it removes it.

    The caller holds the app's name.  Fails with ``ControlError``.
    """
    folder = runtime_folder(environ, os.geteuid())
    path = socket_of(folder, app)
    try:
        make_folder(folder, 0o755 if os.geteuid() == 0 else 0o700)
        _remove_stale(path, app)
        # With its final mode from the start.
        before = os.umask(~_OWNER_ONLY & 0o777)
        try:
            return reactor.listenUNIX(str(path), site, mode=_OWNER_ONLY)  # type: ignore[arg-type]  # a Site is a Factory
        finally:
            os.umask(before)
    except (OSError, CannotListenError) as error:
        raise ControlError(
            f"cannot create the control socket {path}: {getattr(error, 'strerror', None) or error}: set {VARIABLE} to a folder "
            "that only this user may write to"
        ) from None


def is_allowed(transport: Any) -> bool:
    """Return whether the client of a connection runs as our own user or as root."""
    return peer_of(transport) in (0, os.geteuid())


def peer_of(transport: Any) -> int:
    """Return the user ID of the client of a connection (SO_PEERCRED, unix(7))."""
    packed = transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, _ = struct.unpack(_CREDENTIALS, packed)
    return int(uid)


def user_names() -> Mapping[int, str]:
    """Return the names of the users who may connect, by their IDs; "" for one without a name.

    Blocks: the names can come from a server.
    """
    return {uid: _name_of(uid) for uid in (0, os.geteuid())}


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _remove_stale(path: Path, app: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        # The connect must not wait where the listener does not accept.
        connection.setblocking(False)  # noqa: FBT003  # Python's
        try:
            connection.connect(str(path))
        except BlockingIOError:
            pass
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    # A hanoverd of this version would hold the lock of the app's name.
    raise ControlError(
        f"another process listens on {path}: a hanoverd of an older version that serves an app named {app}, or another program. "
        f"Stop it (`hanoverd stop {app}`), give this one another --name, or set {VARIABLE} to another folder"
    )
