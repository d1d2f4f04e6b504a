"""What a git that was killed leaves in a repository: lock files, which stop every later git, and temporary packs, which fill
the disk.

They are found by looking into the repository, never in the messages of git: hosts can write those.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ObtainFailed

#: git holds a lock file for a moment only: after so many seconds, the git that created it was killed.
STALE_LOCK_SECONDS = 10.0

#: The interval for checking whether a lock file is gone, in seconds.
_INTERVAL = 0.1

_LOCK = ".lock"

#: How names of unfinished packs begin: of git-index-pack(1), and of git-repack(1).
_TEMPORARY = ("tmp_", ".tmp-")


class Leftovers:
    """The leftovers in ``repository``; call it only while no other hanoverd works there."""

    def __init__(self, clock: IReactorTime, repository: Path, stale_lock_seconds: float = STALE_LOCK_SECONDS) -> None:
        self._clock = clock
        self._repository = repository
        self._stale_lock_seconds = stale_lock_seconds

    def locks(self) -> list[Path]:
        """Return the lock files that exist."""
        return list(self._find_locks())

    async def remove(self) -> None:
        """Remove temporary files, and lock files that are too old; wait for others until they are gone or too old.

        Fails with ``ObtainFailed`` if one cannot be removed. Cancel ends the wait.
        """
        try:
            for path in _entries(self._repository / "objects" / "pack"):
                if path.name.startswith(_TEMPORARY):
                    path.unlink(missing_ok=True)
            for lock in self.locks():
                await self._wait_for(lock)
        except OSError as error:
            raise ObtainFailed(
                f"cannot remove {error.filename}, which a git that was killed has left: {error.strerror}"
            ) from None

    async def _wait_for(self, lock: Path) -> None:
        start = self._clock.seconds()
        while True:
            try:
                # The age of the file, or, if the system's clock was set, the time that we have waited.
                age = max(time.time() - lock.lstat().st_mtime, self._clock.seconds() - start)
            except FileNotFoundError:
                return
            if age > self._stale_lock_seconds:
                lock.unlink(missing_ok=True)
                return
            await sleep(self._clock, _INTERVAL)

    def _find_locks(self) -> Iterator[Path]:
        # Where git has locks (gitrepository-layout(5)); not among the objects themselves.
        for folder in (self._repository, self._repository / "objects"):
            yield from (path for path in _entries(folder) if path.name.endswith(_LOCK))
        for folder in (self._repository / "refs", self._repository / "objects" / "info"):
            yield from (path for path in files_below(folder) if path.name.endswith(_LOCK))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; links are not followed."""
    folders = [folder]
    while folders:
        for path in _entries(folders.pop()):
            if path.is_dir() and not path.is_symlink():
                folders.append(path)
            else:
                yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]  # noqa: PTH208  # names cost less than paths
    except (FileNotFoundError, NotADirectoryError):
        return []
