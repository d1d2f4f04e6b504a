"""The file that has the ID of the live version's container (``--cidfile``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from hanoverd.network.routes import Live
from hanoverd.runtime.errors import CidFileInUse
from hanoverd.runtime.private_files import replace_file
from hanoverd.runtime.regular_files import read_regular
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.container import app_label
from hanoverd.spec.names import is_container_id

log = Logger()

#: As docker creates it: others may read it.
_MODE = 0o644

#: More than an ID has.
_MOST_BYTES = 100


class CidFile:
    """The file at ``path``, for ``app``: it has the ID of the live container, and does not exist while no version is live.

    A file that cannot be written or removed is logged, and stops nothing.
    """

    def __init__(self, path: Path, app: str) -> None:
        self._path = path
        self._app = app
        self._report = ReportOnce(self._log_failure)

    def follow(self, live: Sequence[Live]) -> None:
        """Write the ID of the version that is live now, or remove the file if ``live`` is empty.  Never fails."""
        try:
            if live:
                replace_file(self._path, live[-1].running.container.id.encode(), _MODE)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self._report(error.strerror or str(error))
        else:
            self._report.reset()

    def check(self, find: Callable[[str], Mapping[str, Any] | None]) -> None:
        """Check a file that is there at the start: an earlier run, a crash or a reboot may have left it.

        ``find`` returns the container with an ID, as the engine describes it, or None.  The file stays if the container is
        one of the app's and runs: it may be the live one.  It is removed if there is no such container, or it does not run.
        Fails with ``CidFileInUse`` if it belongs to somebody else, or with the errors of ``find``.
        """
        container_id = self._read()
        if container_id is None:
            return
        found = find(container_id)
        if found is None:
            self.follow(())
            return
        key, _, value = app_label(self._app).partition("=")
        if (found["Config"].get("Labels") or {}).get(key) != value:
            raise CidFileInUse(
                f"container ID file found, make sure the other container isn't running or delete {self._path}: it names the "
                f"container {found['Name'].removeprefix('/')}, which is no version of {self._app}"
            )
        if not found["State"]["Running"]:
            self.follow(())

    def _read(self) -> str | None:
        """Return the ID in the file; None if there is no such file."""
        try:
            text = read_regular(self._path, _MOST_BYTES).decode(errors="replace")
        except OSError:
            return None
        return text.rstrip("\n") if is_container_id(text) else None

    def _log_failure(self, error: str) -> None:
        log.warn(
            "{app}: the file with the ID of the live container cannot be written: {path}: {error}",
            event="cidfile_not_written",
            app=self._app,
            path=str(self._path),
            error=error,
        )
