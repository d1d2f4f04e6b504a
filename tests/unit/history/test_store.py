"""The store of the history: nothing waits for it, and what goes wrong is logged once and stops nothing."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from hanoverd.history import database, store
from hanoverd.history.reading import read_history
from hanoverd.history.record import FAILED, INTERRUPTED, LIVE, UNDER_WAY, HistoryQuery, Record
from hanoverd.history.store import HistoryStore
from hanoverd.runtime.clock import sleep
from tests.fakes import stuck_database

REACTOR: Any = reactor
ALL = HistoryQuery(1000)


def remove(folder: str) -> None:
    """Remove a folder, in which a thread that was left alone may still make files."""
    for _ in range(500):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"cannot remove {folder}")


class StoreTests(TestCase):
    """On real files, with real threads."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(remove, folder)
        self.path = Path(folder, "web.history", "history.sqlite3")
        self.logged: list[LogEvent] = []
        observer = cast("ILogObserver", self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.threads = set(threading.enumerate())

    def open(self, **options: Any) -> tuple[HistoryStore, int]:
        """Open the store of the path; it is closed at the end."""
        opened = HistoryStore(REACTOR, self.path, **options)
        last = opened.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(opened.close()))
        return opened, last

    def events(self) -> list[str]:
        """What it has logged."""
        return [event["event"] for event in self.logged if str(event.get("event", "")).startswith("history_")]

    def reasons(self) -> list[str]:
        """The reasons in what it has logged."""
        return [event["reason"] for event in self.logged if "reason" in event]

    async def outcomes(self, opened: HistoryStore) -> dict[int, str]:
        """The outcomes of what is saved, by the IDs."""
        return {one["id"]: one["outcome"] for one in await opened.read(ALL)}

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < end, "it did not happen"
            await sleep(REACTOR, 0.005)

    async def test_it_continues_where_the_run_before_has_ended(self) -> None:
        first, last = self.open()
        assert last == 0
        record = Record(1, "start", 5.0)
        first.save(record)
        record.outcome = LIVE
        first.save(record)
        first.save(Record(2, "SIGHUP", 6.0))
        await first.close()
        await first.close()
        assert set(threading.enumerate()) == self.threads
        assert [file.name for file in self.path.parent.iterdir()] == ["history.sqlite3"]
        second, last = self.open()
        assert last == 2
        second.save(Record(3, "start", 7.0))
        assert await self.outcomes(second) == {1: LIVE, 2: INTERRUPTED, 3: UNDER_WAY}
        assert self.events() == []

    async def test_what_was_saved_survives_a_kill(self) -> None:
        code = (
            "import os, sys; from pathlib import Path; from twisted.internet import reactor\n"
            "from twisted.internet.defer import Deferred; from hanoverd.runtime.clock import sleep\n"
            "from hanoverd.history.record import Record; from hanoverd.history.store import HistoryStore\n"
            "store = HistoryStore(reactor, Path(sys.argv[1])); store.open()\n"
            "def begin():\n"
            "    for number in range(1, 51): store.save(Record(number, 'x', 1.0, outcome='live'))\n"
            "    store.save(Record(51, 'x', 1.0))\n"
            "    async def kill():\n"
            "        while store._writing is not None: await sleep(reactor, 0.01)\n"
            "        os.kill(os.getpid(), 9)\n"
            "    Deferred.fromCoroutine(kill())\n"
            "reactor.callWhenRunning(begin); reactor.run()\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(self.path)], check=False, timeout=60)
        assert done.returncode == -9
        # A copy is read: neither the file nor the log beside it changes.
        before = {file.name: file.read_bytes() for file in self.path.parent.iterdir()}
        assert "history.sqlite3-wal" in before
        found = read_history(self.path, ALL)
        assert found is not None
        assert [one["outcome"] for one in found] == [LIVE] * 50 + [INTERRUPTED]
        assert {file.name: file.read_bytes() for file in self.path.parent.iterdir()} == before
        opened, last = self.open()
        assert last == 51
        assert len(await self.outcomes(opened)) == 51

    async def test_a_damaged_file_is_renamed_and_a_new_one_started(self) -> None:
        self.path.parent.mkdir(0o700)
        self.path.write_bytes(b"garbage " * 1000)
        opened, last = self.open()
        assert (last, self.events()) == (0, ["history_damaged"])
        assert self.path.with_name("history.sqlite3.damaged").read_bytes() == b"garbage " * 1000
        opened.save(Record(1, "start", 5.0))
        assert await self.outcomes(opened) == {1: UNDER_WAY}
        assert self.events() == ["history_damaged"]

    async def test_damage_while_it_is_open_is_noticed(self) -> None:
        opened, _ = self.open()
        opened.save(Record(1, "start", 5.0, outcome=LIVE))
        assert await self.outcomes(opened) == {1: LIVE}
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        with mock.patch.object(database, "read", mock.Mock(side_effect=[error, []])):
            assert await self.outcomes(opened) == {}
        opened.save(Record(2, "SIGHUP", 6.0))
        assert await self.outcomes(opened) == {2: UNDER_WAY}
        assert self.events() == ["history_damaged"]
        assert self.path.with_name("history.sqlite3.damaged").exists()

    async def test_files_that_cannot_be_used_are_left_alone(self) -> None:
        def directory() -> None:
            self.path.mkdir()

        def link() -> None:
            self.path.symlink_to("/nowhere")

        def newer() -> None:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA user_version=99")

        def file_as_folder() -> None:
            self.path.parent.rmdir()
            self.path.parent.write_text("")

        reasons = {
            directory: "Is a directory",
            link: "it is a symbolic link",
            newer: "it has schema version 99, and this hanoverd knows 1",
            file_as_folder: "File exists",
        }
        for make, reason in reasons.items():
            self.path.parent.mkdir(0o700)
            make()
            self.logged.clear()
            opened, last = self.open()
            for number in (1, 2, 3):
                opened.save(Record(number, "x", 1.0))
                assert await opened.read(ALL) == []
            await opened.close()
            assert (last, self.events()) == (0, ["history_unsaved", "history_lost"]), make
            assert self.reasons() == [reason]
            if self.path.parent.is_dir():
                assert [file.name for file in self.path.parent.iterdir()] == ["history.sqlite3"]
                shutil.rmtree(self.path.parent)
            else:
                self.path.parent.unlink()

    async def test_a_full_disk_is_reported_once_and_saved_later(self) -> None:
        opened, _ = self.open()
        real, error = database.save, sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        with mock.patch.object(database, "save", mock.Mock(side_effect=error)) as save:
            for number in (1, 2):
                opened.save(Record(number, "x", 1.0))
                await self.until(lambda: opened._writing is None)
            assert save.call_count == 2
            assert (self.events(), self.reasons()) == (["history_unsaved"], ["the disk is full"])
        assert database.save is real
        opened.save(Record(3, "x", 1.0))
        assert list(await self.outcomes(opened)) == [1, 2, 3]
        assert self.events() == ["history_unsaved", "history_saved"]

    async def test_a_locked_file_is_not_overwritten_when_the_lock_is_gone(self) -> None:
        with closing(database.connect(str(self.path))) as other:
            database.upgrade(other, 1)
            with other:
                database.save(other, [database.row_of(Record(1, "start", 1.0, outcome=LIVE))])
            opened, last = self.open()
            assert (last, self.reasons()) == (0, ["another process has locked it"])
            opened.save(Record(1, "mine", 2.0))
            await self.until(lambda: opened._writing is None)
        opened.save(Record(2, "mine", 2.0))
        await self.until(lambda: opened._writing is None)
        await opened.close()
        assert self.reasons()[1].startswith("it could not be read at the start")
        found = read_history(self.path, ALL)
        assert found is not None
        assert [one["trigger"] for one in found] == ["start"]

    async def test_a_file_that_was_removed_is_made_again(self) -> None:
        opened, _ = self.open()
        opened.save(Record(1, "x", 1.0, outcome=LIVE))
        assert await self.outcomes(opened) == {1: LIVE}
        shutil.rmtree(self.path.parent)
        opened.save(Record(2, "x", 1.0, outcome=FAILED))
        assert await self.outcomes(opened) == {2: FAILED}
        await opened.close()
        found = read_history(self.path, ALL)
        assert found is not None
        assert ([one["id"] for one in found], self.events()) == ([2], [])

    async def test_a_disk_that_does_not_answer_at_the_start_stops_nothing(self) -> None:
        stuck_database.released.clear()
        self.addCleanup(stuck_database.released.set)
        self.patch(store, "OPEN_TIMEOUT", 0.05)
        opened, last = self.open(module=stuck_database.__name__)
        assert (last, self.reasons()) == (0, ["the disk does not answer"])
        opened.save(Record(1, "x", 1.0))
        assert await opened.read(ALL) == []
        await opened.close()
        assert all(thread.daemon for thread in set(threading.enumerate()) - self.threads)

    async def test_a_disk_that_does_not_answer_later_delays_neither_handovers_nor_the_stop(self) -> None:
        self.patch(store, "READ_TIMEOUT", 0.05)
        self.patch(store, "CLOSE_TIMEOUT", 0.2)
        released, started = threading.Event(), threading.Event()
        self.addCleanup(released.set)

        def hang(*_: object) -> None:
            started.set()
            released.wait()

        opened, _ = self.open()
        self.patch(database, "save", hang)
        begun = time.monotonic()
        for number in range(1, 500):
            opened.save(Record(number, "x", 1.0))
        assert time.monotonic() - begun < 1
        await self.until(started.is_set)
        assert await opened.read(ALL) == []
        await opened.close()
        assert self.events() == ["history_unsaved", "history_lost"]
        assert self.reasons() == ["the disk does not answer"]

    async def test_the_newest_wait_for_the_disk(self) -> None:
        opened, _ = self.open()
        rows: list[int] = []

        def note(_: object, saved: Iterable[database.Row]) -> None:
            rows.extend(row[0] for row in saved)

        self.patch(database, "save", note)
        for number in range(1, 201):
            opened.save(Record(number, "x", 1.0))
        await self.until(lambda: opened._writing is None)
        assert rows == [1, *range(101, 201)]


class ReadingTests(TestCase):
    """Reading without a hanoverd."""

    def test_what_a_hanoverd_has_not_finished_is_interrupted_when_it_has_ended(self) -> None:
        code = (
            "import sys; from hanoverd.history import database; from hanoverd.history.record import Record\n"
            "connection = database.connect(sys.argv[1]); database.upgrade(connection, 1)\n"
            "with connection: database.save(connection, [database.row_of(Record(1, 'x', 1.0))])\n"
            "print('saved', flush=True); sys.stdin.read()\n"
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "web.history", "history.sqlite3")
            command = [sys.executable, "-c", code, str(path)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
                assert other.stdout
                self.assertEqual(other.stdout.readline(), "saved\n")
                self.assertEqual([one["outcome"] for one in read_history(path, ALL) or []], [UNDER_WAY])
                other.kill()
            self.assertEqual([one["outcome"] for one in read_history(path, ALL) or []], [INTERRUPTED])

    def test_where_there_is_no_history(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert read_history(Path(folder, "web.history", "history.sqlite3"), ALL) is None
            assert list(Path(folder).iterdir()) == []
