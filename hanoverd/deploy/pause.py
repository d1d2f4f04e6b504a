"""Saves that hanoverd is paused, for its next start."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

log = Logger()


class PauseFile:
    """A file at ``path`` that exists while hanoverd is paused."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether hanoverd was paused."""
        return self._path.exists()

    def save(self, *, is_paused: bool) -> None:
        """Create or remove the file.  A failure is logged: the pause of this process is not affected."""
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
