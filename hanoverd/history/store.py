"""Keeps an app's handovers in a file, in a thread of its own: nothing waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from hanoverd.history import database
from hanoverd.history.record import HistoryQuery, Record
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import TimedOut, settles_within, within
from hanoverd.runtime.reactors import ServiceReactor
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.text.counting import counted

log = Logger()

T = TypeVar("T")

#: The time limits, in seconds: of a start for the file to be opened, of a question for its answer, and of a stop for what is
#: not saved yet.
OPEN_TIMEOUT, READ_TIMEOUT, CLOSE_TIMEOUT = 2.0, 3.0, 5.0

#: What can be wrong with a file.
_PROBLEMS = (OSError, *database.ERRORS)

#: How many handovers wait for a disk that is full or does not answer; older ones are not saved.
MOST_WAITING = 100

_TOO_LATE = "it could not be read at the start, and has handovers of earlier runs: restart hanoverd to continue it"
_NO_ANSWER = "the disk does not answer"


class HistoryStore:
    """The file at ``path``.  Call ``open`` first.  What goes wrong is logged once, and stops nothing.

    ``module`` is the DB-API module for adbapi.
    """

    def __init__(self, reactor: ServiceReactor, path: Path, module: str = database.__name__) -> None:
        self._reactor = reactor
        self._path = path
        self._module = module
        self._pool: Any = None
        #: Whether it is open, and was not given up because the disk does not answer.
        self._is_usable = False
        self._lock = DeferredLock()
        self._first = 1
        #: Whether the file's last ID is known, so that handovers of this run cannot replace older ones.
        self._is_counted = False
        #: The file that is open, by its device and inode, and whether its schema is up to date.
        self._opened: tuple[int, int] | None = None
        self._is_upgraded = False
        self._waiting: dict[int, Record] = {}
        self._writing: Outcome[None] | None = None
        self._closed: Outcome[None] | None = None
        self._is_failing = False
        self._report = ReportOnce(self._log_problem)

    def open(self) -> int:
        """Open the file, and return the ID of its last handover; 0 if there is none, or if it cannot be used.

        Blocks, for ``OPEN_TIMEOUT`` at most.  Writes nothing to a file that exists.
        """
        self._pool = pool = ConnectionPool(self._module, str(self._path), cp_min=0, cp_max=1, cp_reactor=self._reactor)
        # A thread that waits for a disk that does not answer must not keep the process from ending.
        pool.threadpool.threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]  # it is callable
        pool.start()
        self._is_usable = True
        found: list[Callable[[], int]] = []
        done = threading.Event()

        def open_in_thread() -> None:
            try:
                last, aside = self._open()
                found.append(partial(self._was_opened, last, aside))
            except _PROBLEMS as error:
                # It is logged in the reactor's thread.
                found.append(partial(self._was_not_opened, error))
            finally:
                done.set()

        pool.threadpool.callInThread(open_in_thread)
        if done.wait(OPEN_TIMEOUT):
            # Without a result, a bug is in the log.
            return found[0]() if found else 0
        self._abandon()
        self._problem(_NO_ANSWER)
        return 0

    def save(self, record: Record) -> None:
        """Save a handover as it is now, or soon; returns at once.  A later save of it replaces this one."""
        if not self._is_usable:
            return
        # The newest stay.
        self._waiting.pop(record.id, None)
        self._waiting[record.id] = record
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if self._writing is None:
            self._start_writing()

    async def read(self, query: HistoryQuery) -> list[dict[str, Any]]:
        """Return the saved handovers that are asked for, as JSON data, the oldest first; none if the file cannot be read.

        Cancel ends the wait.
        """
        if not (self._is_usable and self._is_counted):
            return []
        try:
            reading = Deferred.fromCoroutine(self._run(database.read, query))
            return await within(self._reactor, READ_TIMEOUT, reading)
        except TimedOut:
            self._problem(_NO_ANSWER)
        except _PROBLEMS as error:
            self._problem(database.reason_of(error))
        return []

    async def close(self) -> None:
        """Save what is not saved yet, and close the file; fires when that is done, after ``CLOSE_TIMEOUT`` at the latest.

        Idempotent.  Ignores cancellation.
        """
        if self._closed is None:
            self._closed = Outcome(Deferred.fromCoroutine(self._close()))
        await shielded(self._closed.wait())

    async def _close(self) -> None:
        if not self._is_usable:
            return
        closing = Outcome(Deferred.fromCoroutine(self._finish()))
        if await shielded(Deferred.fromCoroutine(settles_within(self._reactor, CLOSE_TIMEOUT, closing))):
            self._is_usable = False
            self._pool.close()
        else:
            self._problem(_NO_ANSWER)
            self._abandon()
        if self._waiting:
            log.warn(
                "history: {what} not saved: {path}",
                event="history_lost",
                what=f"{counted(len(self._waiting), 'handover')} of this run",
                count=len(self._waiting),
                path=str(self._path),
            )

    async def _finish(self) -> None:
        if self._writing is not None:
            await self._writing.wait()
        if self._waiting:
            await self._write()
        await self._lock.run(self._in_thread, self._disconnect)

    def _abandon(self) -> None:
        """Use the file no more, and leave the thread that waits for it alone."""
        self._is_usable = False
        # It would wait for the thread.
        self._reactor.removeSystemEventTrigger(self._pool.shutdownID)

    # -- writing

    def _start_writing(self) -> None:
        self._writing = writing = Outcome(Deferred.fromCoroutine(self._write()))
        writing.wait().addCallback(lambda _: self._wrote(writing))

    def _wrote(self, writing: Outcome[None]) -> None:
        self._writing = None
        writing.get()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                # Now: in the thread, a record could change meanwhile.
                rows = [database.row_of(record) for record in batch.values()]
                await self._run(database.save, rows)
            except CancelledError:
                return  # It was abandoned.
            except _PROBLEMS as error:
                self._waiting = dict([*batch.items(), *self._waiting.items()][-MOST_WAITING:])
                self._problem(database.reason_of(error))
                return
            self._works()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """Run ``work`` in a transaction; a damaged file is set aside, and a new one started."""
        await self._lock.acquire()
        try:
            return await self._try(work, *arguments)
        finally:
            self._lock.release()

    async def _try(self, work: Callable[..., T], *arguments: object) -> T:
        is_last = False
        while True:
            try:
                await self._in_thread(self._prepare)
                result: T = await self._pool.runInteraction(work, *arguments)
                self._check()
            except _PROBLEMS as error:
                if is_last or not database.is_damage(error):
                    # What follows opens it again.
                    await self._in_thread(self._disconnect)
                    raise
                self._log_damage(await self._in_thread(self._set_aside), database.reason_of(error))
                is_last = True
            else:
                return result

    async def _in_thread(self, work: Callable[[], T]) -> T:
        self._check()
        result = await deferToThreadPool(self._reactor, self._pool.threadpool, work)
        self._check()
        return result

    def _check(self) -> None:
        """Raise ``CancelledError`` if it was given up meanwhile."""
        if not self._is_usable:
            raise CancelledError

    # -- in the thread

    def _open(self) -> tuple[int, tuple[Path, str] | None]:
        """Open the file; return its last ID, and where a damaged one is now, and what was wrong with it."""
        try:
            return database.last_id(self._connect()), None
        except _PROBLEMS as error:
            if not database.is_damage(error):
                raise
            aside, reason = self._set_aside(), database.reason_of(error)
        return database.last_id(self._connect()), (aside, reason)

    def _connect(self) -> Any:
        connection = self._pool.connect()
        if self._opened is None:
            self._opened = _identity(self._path)
            self._is_upgraded = False
        return connection

    def _prepare(self) -> None:
        """Open the file if it is not open, or if it was removed, and bring its schema up to date."""
        if self._opened is not None and self._opened != _identity(self._path):
            self._disconnect()
            for ending in database.BESIDE:
                self._path.with_name(f"{self._path.name}{ending}").unlink(missing_ok=True)
        connection = self._connect()
        if self._is_upgraded:
            return
        if not self._is_counted and database.last_id(connection) >= self._first:
            raise database.TooLate(_TOO_LATE)
        self._is_counted = True
        database.upgrade(connection, self._first)
        self._is_upgraded = True

    def _disconnect(self) -> None:
        self._opened = None
        for connection in list(self._pool.connections.values()):
            self._pool.disconnect(connection)

    def _set_aside(self) -> Path:
        self._disconnect()
        return database.set_aside(self._path)

    # -- messages

    def _was_opened(self, last: int, damage: tuple[Path, str] | None) -> int:
        if damage is not None:
            self._log_damage(*damage)
        self._is_counted = True
        self._first = last + 1
        return last

    def _was_not_opened(self, error: Exception) -> int:
        self._problem(database.reason_of(error))
        return 0

    def _problem(self, reason: str) -> None:
        self._is_failing = True
        self._report(reason)

    def _works(self) -> None:
        self._report.reset()
        if self._is_failing:
            self._is_failing = False
            log.info("history: it is saved again: {path}", event="history_saved", path=str(self._path))

    def _log_problem(self, reason: str) -> None:
        log.warn(
            "history: {path} cannot be used: {reason}; handovers stay in memory until this is repaired or hanoverd ends. If the "
            "file is of no use, remove {folder}",
            event="history_unsaved",
            path=str(self._path),
            folder=str(self._path.parent),
            reason=reason,
        )

    def _log_damage(self, aside: Path, reason: str) -> None:
        log.warn(
            "history: {path} was damaged ({reason}): it is {aside} now, and a new history is started",
            event="history_damaged",
            path=str(self._path),
            aside=str(aside),
            reason=reason,
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
