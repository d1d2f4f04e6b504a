"""A folder for files that other users must not read or change, and that hanoverd trusts when it starts again."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from hanoverd.runtime.errors import StateRefused

#: The file in the folder that shows that hanoverd has created it, on this machine.
MARKER = ".created-by-hanoverd"

#: Identifies the machine (machine-id(5)); other machines do not know it.
_MACHINE = Path("/etc/machine-id")

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def private_folder(path: Path) -> Path:
    """Create the folder at ``path``, with those above it, or check the one that exists; return its path without links.

    Fails with ``StateRefused`` if it was not created by hanoverd for this user on this machine, as is the case in a
    repository or an archive from elsewhere, or if other users can change it or a folder above it.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _check_above(path.parent.absolute())
        parent = path.parent.resolve(strict=True)
        _check_above(parent)
        folder = parent / path.name
        if _is_absent(folder):
            _create(folder)
        _check(folder)
    except OSError as error:
        raise StateRefused(
            f"cannot use the folder {path}: {error.strerror}: hanoverd runs as user {os.geteuid()}"
        ) from None
    return folder


def _is_absent(folder: Path) -> bool:
    """Return whether there is nothing, or an empty folder, which ``_create`` replaces."""
    try:
        return stat.S_ISDIR(folder.lstat().st_mode) and not any(folder.iterdir())
    except FileNotFoundError:
        return True


def _create(folder: Path) -> None:
    # Under another name first: the folder never exists without its marker.
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (new / MARKER).write_text(_mark(new.stat().st_ino))
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        # Another hanoverd was faster; its folder is checked.
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _check(folder: Path) -> None:
    try:
        descriptor = os.open(folder, _OPEN_FOLDER)
    except NotADirectoryError:
        raise StateRefused(
            f"{folder} is not a folder, or it is a link: remove it, or choose another --state-dir"
        ) from None
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise StateRefused(
                f"{folder} belongs to {_name(found.st_uid)}, and hanoverd runs as {_name(os.geteuid())}: choose another "
                "--state-dir"
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise StateRefused(f"other users have access to {folder}: check what is in it, and remove it")
        if _read_marker(descriptor) != _mark(found.st_ino):
            raise StateRefused(
                f"{folder} was not created by hanoverd on this machine: remove it, or choose another --state-dir"
            )
    finally:
        os.close(descriptor)


def _read_marker(folder: int) -> str:
    try:
        marker = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return ""
    with os.fdopen(marker, "rb") as file:
        return file.read(200).decode(errors="replace")


def _mark(inode: int) -> str:
    """Return the text of the marker, which cannot be guessed elsewhere."""
    try:
        machine = _MACHINE.read_text().strip()
    except OSError:
        machine = ""
    # Without a machine ID, in a container for example, the inode is what others do not know.
    secret = machine or str(inode)
    return hashlib.sha256(f"hanoverd state of {os.geteuid()} on {secret}".encode()).hexdigest() + "\n"


def _check_above(folder: Path) -> None:
    """Fail if another user can replace ``folder`` or one above it."""
    for above in (folder, *folder.parents):
        found = above.lstat()
        if found.st_uid not in (0, os.geteuid()):
            raise StateRefused(
                f"{above} belongs to {_name(found.st_uid)}, who could replace what hanoverd keeps in it: choose another "
                "--state-dir"
            )
        if stat.S_ISLNK(found.st_mode) or found.st_mode & stat.S_ISVTX:
            continue  # Only the owner of an entry can replace it (the sticky bit, as in /tmp).
        if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid)):
            raise StateRefused(
                f"other users can write to {above}, and replace what hanoverd keeps in it: run `chmod go-w {above}`, or "
                "choose another --state-dir"
            )


def _is_private(gid: int) -> bool:
    """Return whether a group has no member but this user; many distributions give each user such a group."""
    own = _name(os.geteuid())
    if gid == 0:
        return os.geteuid() == 0
    try:
        group = grp.getgrgid(gid)
        return group.gr_name == own and set(group.gr_mem) <= {own}
    except KeyError:
        return False


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
