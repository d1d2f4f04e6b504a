"""Remembers the number of an app's next version, so that no number is used twice."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from hanoverd.runtime.private_files import make_folder, read_file, replace_file
from hanoverd.runtime.report_once import ReportOnce

log = Logger()

#: The file holds one decimal number; a longer one was not written by hanoverd.
_MOST_DIGITS = 18
_MOST_BYTES = 64


class VersionNumbers:
    """The number of the next version, in a file at ``path``: it survives a stop of hanoverd, and a reboot of the host.

    ``next`` is 0 for an app that is new.  A file that cannot be read or written is logged, and stops nothing: numbers then
    continue after those of the engine's containers.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._report_unwritable = ReportOnce(self._log_unwritable)
        self.next = self._read()

    def use(self, number: int) -> None:
        """Note that ``number`` is used from now on, whatever becomes of the version; idempotent."""
        self.next = max(self.next, number + 1)
        self._write()

    def follow(self, next_number: int) -> None:
        """Continue with ``next_number``, which follows the numbers of the containers that were found, if it is higher."""
        if next_number <= self.next:
            return
        log.warn(
            "numbers: the next version is number {number}, after the existing containers: {path} is behind or missing",
            event="numbers_behind",
            number=next_number,
            path=str(self._path),
        )
        self.next = next_number

    def _read(self) -> int:
        try:
            text = read_file(self._path, _MOST_BYTES).decode(errors="replace").strip()
        except FileNotFoundError:
            return 0
        except OSError as error:
            self._log_unreadable(error.strerror)
            return 0
        if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
            self._log_unreadable("it does not hold a number")
            return 0
        return int(text)

    def _write(self) -> None:
        try:
            make_folder(self._path.parent, 0o755)
            replace_file(self._path, f"{self.next}\n".encode())
        except OSError as error:
            self._report_unwritable(str(error.strerror))
        else:
            self._report_unwritable.reset()

    def _log_unwritable(self, reason: str) -> None:
        log.error(
            "numbers: cannot save the next version's number: {path}: {reason}",
            event="numbers_not_saved",
            path=str(self._path),
            reason=reason,
        )

    def _log_unreadable(self, reason: str | None) -> None:
        log.warn(
            "numbers: cannot read {path}: {reason}; the next version's number follows those of existing containers",
            event="numbers_unreadable",
            path=str(self._path),
            reason=reason,
        )
