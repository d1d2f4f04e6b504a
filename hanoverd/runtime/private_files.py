"""Files and folders that only this user and root can change: what another user created is refused.

A refusal is a ``PermissionError`` whose ``strerror`` says why.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container
from pathlib import Path

#: O_NONBLOCK: the open of a FIFO must not wait for its writer (open(2)).
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_OWNER_ONLY = 0o600


def make_folder(folder: Path, mode: int) -> None:
    """Create a folder, and the folders above it; fails with ``OSError``, also if another user could change it. Idempotent."""
    folder.mkdir(mode, parents=True, exist_ok=True)
    check_folder(folder)


def check_folder(folder: Path, trusted: Container[int] | None = None) -> None:
    """Fail with ``OSError`` if a user who is not ``trusted`` (None: this user and root) could replace the folder.

    That is so if the folder, or one above it, belongs to such a user, or if every user may write to it. In a folder with the
    sticky bit, as /tmp, users can only replace their own files (inode(7)).
    """
    trusted = _own_users() if trusted is None else trusted
    paths = [folder.absolute(), folder.resolve(strict=True)]
    for place in dict.fromkeys(place for path in paths for place in (path, *path.parents)):
        for status in (place.lstat(), place.stat()):
            if status.st_uid not in trusted:
                raise _refused(place, f"{place} belongs to another user (uid {status.st_uid})")
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise _refused(place, f"all users may write to {place}")


def open_file(path: Path, flags: int, mode: int = _OWNER_ONLY) -> int:
    """Open a file, with ``mode`` if it is created, and return its descriptor.

    Fails with ``OSError``, also for a symbolic link, for what is no regular file, and for a file of another user.
    """
    try:
        descriptor = os.open(path, flags | _SAFE, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "it is a symbolic link") from None
        raise
    status = os.fstat(descriptor)
    reason = ""
    if not stat.S_ISREG(status.st_mode):
        reason = "it is not a regular file"
    elif status.st_uid not in _own_users():
        reason = f"it belongs to another user (uid {status.st_uid})"
    if reason:
        os.close(descriptor)
        raise _refused(path, reason)
    return descriptor


def read_file(path: Path, limit: int) -> bytes:
    """Return the first ``limit`` bytes of a file; fails as ``open_file``."""
    with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def replace_file(path: Path, content: bytes, mode: int = _OWNER_ONLY) -> None:
    """Write a file of ``mode`` in one step: a reader, and a host that crashes, see the old content or the new one.

    Fails with ``OSError``.
    """
    new = path.with_name(f"{path.name}.new")
    # Left by a process that was killed, or put there by another user.
    new.unlink(missing_ok=True)
    with os.fdopen(open_file(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    new.replace(path)


def exists(path: Path) -> bool:
    """Return whether there is a regular file of this user or root; fails with ``OSError`` for anything else."""
    try:
        os.close(open_file(path, os.O_RDONLY))
    except FileNotFoundError:
        return False
    return True


def _own_users() -> Container[int]:
    return (0, os.geteuid())


def _refused(path: Path, reason: str) -> PermissionError:
    return PermissionError(errno.EPERM, reason, str(path))
