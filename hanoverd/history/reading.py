"""Reads the history of an app whose hanoverd does not run, from a copy: the file itself is not changed, and not locked.

Blocks.  Only this user's files, and root's, are read.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import closing
from errno import EACCES
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hanoverd.history import database
from hanoverd.history.record import HistoryQuery
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.private_files import check_folder, open_file, read_file, replace_file

#: The largest file that is read, in bytes: several times what hanoverd keeps.
_MOST_BYTES = 64 * 1024 * 1024

#: What was committed, and is not in the file yet.
_LOG = "-wal"

#: The first of the bytes that SQLite locks to read or write (https://www.sqlite.org/lockingv3.html, "SHARED_FIRST").
_LOCK_BYTE = 0x40000002


def read_history(path: Path, query: HistoryQuery) -> list[dict[str, Any]] | None:
    """Return the handovers that are asked for, as JSON data, the oldest first; None if there is no file.

    Fails with ``ControlError``.
    """
    try:
        check_folder(path.parent)
        with TemporaryDirectory(prefix="hanoverd-history-") as folder:
            copy = Path(folder, path.name)
            replace_file(copy, read_file(path, _MOST_BYTES))
            _copy_log(path, copy)
            return _read(copy, query, is_in_use=_is_locked(path))
    except FileNotFoundError:
        return None
    except (OSError, *database.ERRORS) as error:
        advice = ": run this command as root" if isinstance(error, PermissionError) and error.errno == EACCES else ""
        raise ControlError(f"cannot read {path}: {database.reason_of(error)}{advice}") from None


def _copy_log(path: Path, copy: Path) -> None:
    try:
        replace_file(copy.with_name(copy.name + _LOG), read_file(path.with_name(path.name + _LOG), _MOST_BYTES))
    except FileNotFoundError:
        return


def _is_locked(path: Path) -> bool:
    """Whether another process has the file open: a hanoverd whose control socket was not found."""
    descriptor = open_file(path, os.O_RDONLY)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _LOCK_BYTE)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(copy: Path, query: HistoryQuery, *, is_in_use: bool) -> list[dict[str, Any]]:
    with closing(database.connect(str(copy))) as connection:
        # If no hanoverd runs, what is not finished was interrupted.
        database.upgrade(connection, first=0 if is_in_use else 2**63 - 1)
        return database.read(connection, query)
