"""A lock file that several processes take in turn."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.runtime.clock import sleep
from hanoverd.runtime.private_files import open_file
from hanoverd.text.durations import format_duration

log = Logger()

#: The interval for checking whether the lock is free, in seconds.
_INTERVAL = 0.1

#: A wait is logged after so many seconds, and then each time it has become so many times as long.
LOG_AFTER, _LOG_FACTOR = 10.0, 6

#: Lists the locks of all processes (proc_locks(5)).
_LOCKS = Path("/proc/locks")


class FileLock:
    """The lock at ``path``, which is created if it is missing. The end of the process releases it.

    Its folder should be closed to other users: who can open the file can hold the lock.
    """

    def __init__(self, clock: IReactorTime, path: Path) -> None:
        self._clock = clock
        self._path = path

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock. A long wait is logged, with the process that holds it. Cancel ends the wait.

        Fails with ``OSError``; a symbolic link is not followed.
        """
        descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT)
        try:
            await self._acquire(descriptor)
            yield
        finally:
            os.close(descriptor)

    async def _acquire(self, descriptor: int) -> None:
        start, log_after = self._clock.seconds(), LOG_AFTER
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                waited = self._clock.seconds() - start
            if waited >= log_after:
                log_after *= _LOG_FACTOR
                self._log_wait(waited, _holder(descriptor))
            await sleep(self._clock, _INTERVAL)

    def _log_wait(self, waited: float, holder: str) -> None:
        log.warn(
            "lock: waiting for {path} for {took}: {holder} holds it",
            event="lock_waiting",
            path=str(self._path),
            seconds=waited,
            took=format_duration(round(waited)),
            holder=holder,
        )


def _holder(descriptor: int) -> str:
    """Return the process that holds the lock of an open file, in words."""
    found = os.fstat(descriptor)
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        for line in _LOCKS.read_text().splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4321 08:02:131081 0 EOF
            words = line.split()
            if words[1] == "FLOCK" and words[5] == file:
                return _process(words[4])
    except (OSError, IndexError):
        pass  # Another kernel, or no /proc.
    return "another process"


def _process(pid: str) -> str:
    try:
        return f"process {pid} ({Path('/proc', pid, 'comm').read_text().strip()})"
    except OSError:
        return f"process {pid}"
