"""Walks the folder of a build context.

Files are found through the descriptors of their folders, so that a folder which is replaced by a symbolic link meanwhile
does not lead elsewhere. However deep the folder is and however many files it has, few descriptors and little memory are
needed: files are passed on while the folder is read, and only the names of folders are kept.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hanoverd.docker.dockerignore import Ignored, Verdict

#: The longest path in a build context, in bytes (PATH_MAX without the NUL): neither the engine nor Docker's client can have a
#: longer one.
LONGEST_PATH = 4095

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Found:
    """A file: its ``path`` in the context, and its ``name`` in the folder with the descriptor ``folder``.

    The descriptor is valid until the next file is asked for.
    """

    path: str
    name: str
    folder: int


@dataclass
class _Level:
    """A folder that is being walked; ``waiting`` has the names of its folders that were not visited yet, each with a slash."""

    prefix: str
    verdict: Verdict
    identity: tuple[int, int]
    waiting: bytearray = field(default_factory=bytearray)

    def add(self, name: str) -> None:
        """Add a folder to visit."""
        self.waiting += os.fsencode(name) + b"/"

    def next(self) -> str:
        """Remove and return the name of a folder to visit."""
        begin = self.waiting.rfind(b"/", 0, -1) + 1
        name = os.fsdecode(bytes(self.waiting[begin:-1]))
        del self.waiting[begin:]
        return name


def walk(root: Path, ignored: Ignored, check: Callable[[], object] = lambda: None) -> Iterator[Found]:
    """Yield the files in ``root`` that are not ignored, in any order; a folder comes before its contents.

    Calls ``check`` for each file, also for an ignored one: it can raise an error to end the walk. Raises ``OSError`` with the path in the context, and for a path that is longer than ``LONGEST_PATH``.
    """
    # The folder itself is the user's: it may be a link.
    here = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        levels = [_Level("", ignored.top, _identity(here))]
        yield from _listed(here, levels[-1], ignored, check)
        while levels:
            level = levels[-1]
            if level.waiting:
                name = level.next()
                with naming(level.prefix + name):
                    here = _replaced(here, os.open(name, _FOLDER, dir_fd=here))
                verdict = ignored.verdict_inside(level.verdict, name)
                levels.append(_Level(f"{level.prefix}{name}/", verdict, _identity(here)))
                yield from _listed(here, levels[-1], ignored, check)
            else:
                levels.pop()
                if levels:
                    here = _replaced(here, _parent(here, levels[-1]))
    finally:
        os.close(here)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Give the errors of the system inside this block the path in the context; its text has it quoted."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _listed(folder: int, level: _Level, ignored: Ignored, check: Callable[[], object]) -> Iterator[Found]:
    """Yield the files of one folder, and add its folders to ``level.waiting``."""
    with naming(level.prefix), os.scandir(folder) as listing:
        for entry in listing:
            check()
            path = level.prefix + entry.name
            verdict = ignored.verdict_inside(level.verdict, entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            if not verdict.is_ignored:
                if len(os.fsencode(path)) > LONGEST_PATH:
                    raise OSError(errno.ENAMETOOLONG, f"a path is longer than {LONGEST_PATH} bytes")
                yield Found(path, entry.name, folder)
            if is_folder and (not verdict.is_ignored or ignored.may_hold_exceptions(path)):
                level.add(entry.name)


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _replaced(folder: int, other: int) -> int:
    os.close(folder)
    return other


def _parent(folder: int, level: _Level) -> int:
    """Open the folder above, which has to be that of ``level``."""
    with naming(level.prefix):
        parent = os.open("..", _FOLDER, dir_fd=folder)
        if _identity(parent) != level.identity:
            os.close(parent)
            raise OSError(errno.ESTALE, "a folder was moved while the build context was read")
        return parent
