"""Reads files whose names come from another party, such as the author of a repository.

A name leads to a regular file below a folder, or to an error: never to a device or a pipe, and never out of the folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: The flags for a file that may have been replaced since it was checked: do not follow a link, do not wait for the other
#: end of a pipe (see open(2)).
_SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: How many links a path may have, as in Linux (see path_resolution(7)).
_MOST_LINKS = 40

#: How many folders of a path are open at the same time.
_MOST_FOLDERS = 100


def read_below(folder: Path, name: str, most: int) -> bytes:
    """Return the content of the file ``name`` below ``folder``, which has at most ``most`` bytes.

    Symbolic links are followed if they stay below ``folder``. Raises ``OSError``: its ``strerror`` says why, and never
    quotes the file.
    """
    with open_below(folder, name) as file:
        return _read(file, most)


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most ``most`` bytes, also through links; errors as for ``read_below``."""
    return read_below(Path("/"), os.fspath(path.resolve(strict=True)), most)


@contextmanager
def open_below(folder: Path, name: str) -> Iterator[int]:
    """Open the file ``name`` below ``folder`` as ``read_below`` does, and close it afterwards."""
    root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    file = -1
    try:
        file = _open(root, name)
        yield file
    finally:
        os.close(root)
        if file >= 0:
            os.close(file)


def open_entry(folder: int, name: str) -> tuple[int, os.stat_result]:
    """Open the regular file ``name`` in the folder with the descriptor ``folder``, and return its descriptor and its status.

    Raises ``OSError``, also if it is a symbolic link.
    """
    # Opening a device can have effects, so look at it first; the check after it counts.
    _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))
    file = os.open(name, _SAFELY, dir_fd=folder)
    try:
        status = os.fstat(file)
        _check_regular(status)
    except OSError:
        os.close(file)
        raise
    return file, status


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def _read(file: int, most: int) -> bytes:
    content = bytearray()
    # The size of a file says little: it can grow, and files of procfs have none.
    while piece := os.read(file, min(most + 1 - len(content), 1 << 18)):
        content += piece
        if len(content) > most:
            raise OSError(errno.EFBIG, f"it is larger than {most} bytes")
    return bytes(content)


def _open(root: int, name: str) -> int:
    """Follow ``name`` from the folder ``root``, one part at a time, and open the file that it leads to."""
    waiting = deque(_parts(name.lstrip("/")))
    folders: list[int] = []
    links = 0
    try:
        while waiting:
            part = waiting.popleft()
            here = folders[-1] if folders else root
            if part == "..":
                if not folders:
                    raise _leaves()
                os.close(folders.pop())
                continue
            if stat.S_ISLNK(os.stat(part, dir_fd=here, follow_symlinks=False).st_mode):
                links += 1
                target = os.readlink(part, dir_fd=here)
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if target.startswith("/"):
                    raise _leaves()
                waiting.extendleft(reversed(_parts(target)))
            elif waiting:
                if len(folders) == _MOST_FOLDERS:
                    raise OSError(errno.ENAMETOOLONG, "its path has too many folders")
                folders.append(os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here))
            else:
                return open_entry(here, part)[0]
        raise OSError(errno.EINVAL, "it is not a regular file")
    finally:
        for folder in folders:
            with suppress(OSError):
                os.close(folder)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _leaves() -> OSError:
    return OSError(errno.EXDEV, "it is a symbolic link out of the folder")
