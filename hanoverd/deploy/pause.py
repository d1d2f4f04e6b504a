"""Remembers over a restart of hanoverd that it is paused."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

log = Logger()


class PauseFile:
    """A file at ``path`` that is there as long as hanoverd is paused."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def is_there(self) -> bool:
        """Whether hanoverd was paused."""
        return self._path.exists()

    def save(self, *, is_paused: bool) -> None:
        """Create or remove the file.  A failure is logged: the pause itself holds, as long as this process runs."""
        try:
            if is_paused:
                self._path.touch(mode=0o600)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            log.error(
                "pause: cannot be kept for a restart of hanoverd: {path}: {error}",
                event="pause_not_saved",
                path=self._path,
                error=error.strerror,
            )
