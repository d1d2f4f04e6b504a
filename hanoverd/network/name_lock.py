"""The lock that makes a process the only hanoverd of an app on this host."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from hanoverd.runtime.errors import NameTaken


def lock_name(app: str) -> socket.socket:
    """Lock the app's name until the socket is closed; fail with ``NameTaken`` where another process has locked it.

    It is a Unix socket in the abstract namespace: that belongs to the network namespace, as the app's rules do, and the
    kernel closes it with the process, however that ends (unix(7)).
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0{_name(app)}")
    except OSError as error:
        lock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise NameTaken(
            f"a hanoverd that serves an app named {app} is running already: send it SIGHUP for a new version, or "
            "give this one another --name"
        ) from None
    return lock


def is_name_locked(app: str) -> bool:
    """Return whether a process of this network namespace has locked the app's name (proc(5), net/unix)."""
    # The kernel prints the NUL byte at the start of an abstract name as "@".
    return any(line.endswith(f" @{_name(app)}") for line in Path("/proc/net/unix").read_text().splitlines())


def _name(app: str) -> str:
    return f"hanoverd/app/{app}"
