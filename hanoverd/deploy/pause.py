"""Saves that hanoverd is paused, for its next start."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

from hanoverd.runtime.private_files import exists, open_file

log = Logger()


class PauseFile:
    """A file at ``path`` that exists while hanoverd is paused."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether hanoverd was paused.  A file that another user created does not count, and is logged."""
        try:
            return exists(self._path)
        except OSError as error:
            log.warn(
                "pause: {path} is ignored: {error}",
                event="pause_ignored",
                path=self._path,
                error=error.strerror,
            )
            return False

    def save(self, *, is_paused: bool) -> None:
        """Create or remove the file.  A failure is logged: the pause of this process is not affected."""
        try:
            if is_paused:
                os.close(open_file(self._path, os.O_RDWR | os.O_CREAT))
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            log.error(
                "pause: cannot be kept for a restart of hanoverd: {path}: {error}",
                event="pause_not_saved",
                path=self._path,
                error=error.strerror,
            )
