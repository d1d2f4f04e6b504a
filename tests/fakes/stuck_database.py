"""A DB-API module for adbapi whose ``connect`` waits, as for a disk that does not answer, until ``released`` is set."""

from __future__ import annotations

import sqlite3
from threading import Event

from hanoverd.history import database

apilevel, threadsafety, paramstyle = database.apilevel, database.threadsafety, database.paramstyle

released = Event()


def connect(path: str) -> sqlite3.Connection:
    """Wait, and open the file."""
    released.wait()
    return database.connect(path)
