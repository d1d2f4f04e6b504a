"""The lock that makes a process the only hanoverd of an app on this host.

Two processes that serve the same app would remove each other's containers and rules. There are two locks, because one
does not do both:

* A file in hanoverd's own folder, locked by flock(2). No other user can take it. It excludes every hanoverd that uses
  the same folder.
* An abstract socket name, which hanoverds of all users of this network namespace can see, also older versions.
  But every user can take it. So it counts only if its holder is trusted: a user who may use the engine, or root. Who may
  not use the engine cannot serve an app.

The kernel releases both with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Container
from pathlib import Path

from hanoverd.network.abstract_names import hold_name, holder_of
from hanoverd.runtime.errors import ControlError, NameTaken
from hanoverd.runtime.private_files import make_folder, open_file
from hanoverd.runtime.sockets import VARIABLE, lock_file_of

#: How often a file that is locked is tried, and the time between, in seconds: commands hold the lock for a moment.
_ATTEMPTS, _INTERVAL = 5, 0.05


class NameLock:
    """A locked name; made by ``lock_name``.

    ``ignored`` says who holds the abstract name without being trusted; it is "" if that is not so.
    """

    def __init__(self, path: Path, descriptor: int, announced: socket.socket | None, ignored: str) -> None:
        self.ignored = ignored
        self._path = path
        self._descriptor = descriptor
        self._announced = announced

    def close(self) -> None:
        """Release the name."""
        _unlock(self._path, self._descriptor)
        if self._announced is not None:
            self._announced.close()


def lock_name(app: str, folder: Path, trusted: Container[int]) -> NameLock:
    """Lock the app's name until ``close``; ``folder`` is hanoverd's own, ``trusted`` has the users who may use the engine.

    Fails with ``NameTaken`` if another process has locked it, and with ``ControlError`` if the folder cannot be used. Blocks
    for a moment.
    """
    path = lock_file_of(folder, app)
    try:
        # Other users may see the sockets of root's apps; the files in it are private.
        make_folder(folder, 0o755 if os.geteuid() == 0 else 0o700)
        descriptor = _lock_file(path)
    except OSError as error:
        raise ControlError(
            f"cannot lock the name {app} with the file {path}: {error.strerror}: set {VARIABLE} to a folder that only "
            "this user may write to"
        ) from None
    if descriptor is None:
        raise _taken(app, "")
    announced, ignored = hold_name(_name(app)), ""
    if announced is None:
        holder = holder_of(_name(app))
        if holder is not None and holder in trusted:
            os.close(descriptor)
            raise _taken(app, "" if holder == os.geteuid() else f" as another user (uid {holder})")
        user = "an unknown user" if holder is None else f"uid {holder}"
        ignored = f"a process of {user}, who may not use the engine, holds it"
    return NameLock(path, descriptor, announced, ignored)


def is_name_locked(app: str, folder: Path, trusted: Container[int]) -> bool:
    """Return whether a process has locked the app's name, in ``folder`` or by a trusted user in this network namespace."""
    try:
        descriptor = open_file(lock_file_of(folder, app), os.O_RDWR)
    except OSError:
        pass  # There is none, or it is another user's.
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    holder = holder_of(_name(app))
    return holder is not None and holder in trusted


def if_unlocked(app: str, folder: Path, trusted: Container[int], work: Callable[[], object]) -> None:
    """Call ``work`` unless a process has locked the app's name; no hanoverd with the same folder can start meanwhile.

    Nothing happens if ``folder`` is another user's.
    """
    path = lock_file_of(folder, app)
    try:
        descriptor = _lock_file(path)
    except OSError:
        return
    if descriptor is not None:
        try:
            holder = holder_of(_name(app))
            if holder is None or holder not in trusted:
                work()
        finally:
            _unlock(path, descriptor)


def _unlock(path: Path, descriptor: int) -> None:
    # Remove it while it is locked: ``_lock_file`` notices that the file is gone.
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass  # The folder is another one by now.
    os.close(descriptor)


def _lock_file(path: Path) -> int | None:
    """Return the descriptor of the locked file; None if another process has locked it."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_INTERVAL)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The file may have been removed between the open and the lock.
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
    return None


def _taken(app: str, by: str) -> NameTaken:
    return NameTaken(
        f"a hanoverd that serves an app named {app} is running already{by}: send it SIGHUP for a new version, or "
        "give this one another --name"
    )


def _name(app: str) -> str:
    return f"hanoverd/app/{app}"
