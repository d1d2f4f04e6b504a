"""The SQLite file with an app's handovers: its schema, and what is read and written.  Blocks: it runs in a thread.

For Twisted's adbapi this is a DB-API module (PEP 249), because a file has to pass checks before SQLite opens it.

The file is in WAL mode: a commit is one write, without a wait for the disk, and survives ``kill -9``.  ``connect`` locks it for as
long as it is open.  In that mode SQLite keeps the index of the log in memory, not in a file that it maps: what happens to files
cannot end this process by SIGBUS.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from hanoverd.history.record import INTERRUPTED, MOST_HANDOVERS, UNDER_WAY, WHY_INTERRUPTED, HistoryQuery, Record
from hanoverd.runtime.private_files import exists, make_folder, open_file

#: What adbapi asks of a DB-API module.
apilevel, threadsafety, paramstyle = "2.0", 1, "qmark"

#: How much is kept of why handovers failed, with the last log lines, and how much in all, in bytes.
MOST_LOG_BYTES, MOST_BYTES = 1024 * 1024, 8 * 1024 * 1024

#: How much is left of an old reason whose log lines are removed, in characters.
_SHORT_WHY = 200

#: How long another process may hold the lock, in seconds.
BUSY_TIMEOUT = 0.5

#: The files that SQLite keeps beside a database.
BESIDE = ("-wal", "-journal", "-shm")

#: "hnvd": what file(1) and other programs know the file by.
_APPLICATION_ID = 0x686E7664

#: The statements that lead from each schema version to the next one; ``PRAGMA user_version`` is the number of those that were
#: run.  ``id`` and ``outcome`` of ``handovers`` stay in all versions.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE handovers (
            id INTEGER PRIMARY KEY,
            began REAL NOT NULL,
            outcome TEXT NOT NULL,
            why TEXT NOT NULL,
            record TEXT NOT NULL
        )""",
        "CREATE INDEX handovers_began ON handovers (began)",
    ),
)

#: What is damaged, and what is not, by SQLite's result codes (https://www.sqlite.org/rescode.html).
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH})
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process has locked it",
    sqlite3.SQLITE_LOCKED: "another process has locked it",
}
_NO_CODE = -1

#: A handover's row: its ID, ``began``, ``outcome``, ``why``, and the rest as JSON.
Row = tuple[int, float, str, str, str]

_COLUMNS = ("id", "began", "outcome", "why")


class Damaged(Exception):
    """The file is no history that hanoverd has written."""


class TooNew(Exception):
    """A newer hanoverd has written the file."""


class TooLate(Exception):
    """The file was opened too late to continue it."""


#: What the functions fail with, beside ``OSError``.
ERRORS = (sqlite3.Error, Damaged, TooNew, TooLate)


class Cursor(Protocol):
    """What a connection, a cursor and a transaction of adbapi have in common."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> Any:
        """Run a statement."""


def connect(path: str, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> sqlite3.Connection:
    """Open the file, and lock it; an empty one is created.  Writes nothing to a file that exists.

    Fails with ``OSError`` for a file that is not only ours to write, with ``TooNew``, and with ``sqlite3.Error``; ``is_damage``
    says which of these mean that the file is damaged.
    """
    make_folder(Path(path).parent, 0o700)
    # Closed before SQLite opens it: the close would release SQLite's locks (fcntl(2), "Record locking").
    os.close(open_file(Path(path), os.O_RDWR | os.O_CREAT))
    for ending in BESIDE:
        exists(Path(f"{path}{ending}"))
    # adbapi closes it in another thread than it is used in.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA cache_size=-256")
        version = _number(connection, "user_version")
        if version > len(migrations):
            raise TooNew(f"it has schema version {version}, and this hanoverd knows {len(migrations)}")
        if version and _number(connection, "application_id") != _APPLICATION_ID:
            raise Damaged("it is a database of another program")
    except BaseException:
        connection.close()
        raise
    return connection


def last_id(connection: Cursor) -> int:
    """Return the ID of the last handover; 0 if there is none."""
    if not _number(connection, "user_version"):
        return 0
    return int(connection.execute("SELECT ifnull(max(id), 0) FROM handovers").fetchone()[0])


def upgrade(connection: sqlite3.Connection, first: int, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Check the whole file, bring its schema up to date, and mark the handovers that a killed hanoverd left unfinished.

    ``first`` is the first ID of this run.  All or nothing.  Fails as ``connect``.
    """
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint=100")
    connection.execute(f"PRAGMA journal_size_limit={1024 * 1024}")
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise Damaged(found)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        version = _number(connection, "user_version")
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < len(migrations):
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={len(migrations)}")
        connection.execute(
            "UPDATE handovers SET outcome = ?, why = ? WHERE outcome = ? AND id < ?",
            (INTERRUPTED, WHY_INTERRUPTED, UNDER_WAY, first),
        )


def row_of(record: Record) -> Row:
    """Return the row of a record."""
    rest = record.json()
    values = [rest.pop(name) for name in _COLUMNS]
    # Surrogates, which no UTF-8 can hold, stay escaped in JSON.
    values[3] = values[3].encode(errors="replace").decode()
    return (*values, json.dumps(rest))


def save(transaction: Cursor, rows: Sequence[Row]) -> None:
    """Add or replace handovers, and, if one of them is over, remove what is too much.

    Not at the start of a handover: it would take time from it.
    """
    transaction.execute("BEGIN IMMEDIATE")
    for row in rows:
        transaction.execute(
            "INSERT OR REPLACE INTO handovers (id, began, outcome, why, record) VALUES (?,?,?,?,?)", row
        )
    if any(outcome != UNDER_WAY for _, _, outcome, _, _ in rows):
        _trim(transaction)


def read(transaction: Cursor, query: HistoryQuery) -> list[dict[str, Any]]:
    """Return the handovers that are asked for, as JSON data, the oldest first."""
    found = transaction.execute(
        "SELECT id, began, outcome, why, record FROM handovers WHERE began >= ? ORDER BY id DESC LIMIT ?",
        (query.since, query.limit),
    ).fetchall()
    return [_record(row) for row in reversed(found)]


def is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", _NO_CODE)
        # Python itself raises an error without a code for text that is not UTF-8.
        return code == _NO_CODE or (code & 0xFF) in _DAMAGE
    return isinstance(error, Damaged)


def reason_of(error: Exception) -> str:
    """Return what an error means, for people."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", _NO_CODE)
        return _REASONS.get(code & 0xFF if code != _NO_CODE else code, str(error))
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, and what SQLite has beside it, and return its new name; an older one of that name is replaced."""
    aside = path.with_name(f"{path.name}.damaged")
    for ending in ("", *BESIDE):
        file = path.with_name(f"{path.name}{ending}")
        if file.exists():
            file.replace(f"{aside}{ending}")
    return aside


def _trim(transaction: Cursor) -> None:
    transaction.execute(
        "UPDATE handovers SET why = substr(why, 1, min(instr(why || char(10), char(10)) - 1, ?)) WHERE id IN (SELECT id FROM "
        "(SELECT id, sum(length(CAST(why AS BLOB))) OVER (ORDER BY id DESC) AS total FROM handovers) WHERE total > ?)",
        (_SHORT_WHY, MOST_LOG_BYTES),
    )
    transaction.execute(
        "DELETE FROM handovers WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER newest AS place, "
        "sum(length(CAST(why AS BLOB)) + length(CAST(record AS BLOB))) OVER newest AS total FROM handovers "
        "WINDOW newest AS (ORDER BY id DESC)) WHERE place > ? OR total > ?)",
        (MOST_HANDOVERS, MOST_BYTES),
    )


def _number(connection: Cursor, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _record(row: Sequence[Any]) -> dict[str, Any]:
    *columns, rest = row
    try:
        found: Mapping[str, Any] = json.loads(rest)
    except ValueError:
        raise Damaged("a handover's record is not valid JSON") from None
    # An older hanoverd has written fewer values.
    return {**_EMPTY, **found, **dict(zip(_COLUMNS, columns, strict=True))}


_EMPTY = Record(0, "", 0.0).json()
