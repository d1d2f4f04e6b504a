"""The file of the history: its schema, its bounds, and what of it is damaged."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.history import database
from hanoverd.history.record import (
    FAILED,
    INTERRUPTED,
    LIVE,
    LONGEST_WHY,
    MOST_HANDOVERS,
    UNDER_WAY,
    WHY_INTERRUPTED,
    Drained,
    HistoryQuery,
    Origin,
    Record,
)
from hanoverd.spec.differences import Difference

ALL = HistoryQuery(10_000)


@contextmanager
def opened(path: Path, first: int = 1) -> Iterator[sqlite3.Connection]:
    """Open a file as a hanoverd does whose first handover is ``first``."""
    with closing(database.connect(str(path))) as connection:
        database.upgrade(connection, first)
        yield connection


def put(connection: sqlite3.Connection, *records: Record) -> None:
    """Save records in one transaction."""
    with connection:
        database.save(connection, [database.row_of(record) for record in records])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a file that does not exist yet."""
    return tmp_path / "web.history" / "history.sqlite3"


def test_a_new_file_is_the_users_own(path: Path) -> None:
    with opened(path) as connection:
        put(connection, Record(1, "start", 5.0))
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert (modes, stat.S_IMODE(path.parent.stat().st_mode)) == ({0o600}, 0o700)


def test_what_is_saved_is_read_the_oldest_first(path: Path) -> None:
    records = [Record(number, "SIGHUP", 100.0 * number, outcome=LIVE) for number in (1, 2, 3)]
    with opened(path) as connection:
        put(connection, *records)
        records[1].outcome = FAILED
        put(connection, records[1])
        assert database.last_id(connection) == 3
        assert database.read(connection, ALL) == [record.json() for record in records]
        assert [one["id"] for one in database.read(connection, HistoryQuery(2))] == [2, 3]
        assert [one["id"] for one in database.read(connection, HistoryQuery(9, since=200.0))] == [2, 3]


def test_what_a_killed_hanoverd_left_unfinished_was_interrupted(path: Path) -> None:
    with opened(path) as connection:
        put(connection, Record(1, "start", 1.0, outcome=LIVE), Record(2, "SIGHUP", 2.0))
    with opened(path, first=3) as connection:
        put(connection, Record(3, "start", 3.0))
        found = {one["id"]: (one["outcome"], one["why"]) for one in database.read(connection, ALL)}
    assert found == {1: (LIVE, ""), 2: (INTERRUPTED, WHY_INTERRUPTED), 3: (UNDER_WAY, "")}


def test_a_file_of_an_older_schema_is_upgraded(path: Path) -> None:
    with opened(path) as connection:
        put(connection, Record(1, "start", 1.0, outcome=LIVE))
    newer = (*database.MIGRATIONS, ("ALTER TABLE handovers ADD COLUMN host TEXT NOT NULL DEFAULT 'here'",))
    with closing(database.connect(str(path), newer)) as connection:
        assert database.last_id(connection) == 1
        database.upgrade(connection, 2, newer)
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT id, host FROM handovers").fetchall() == [(1, "here")]
    # This hanoverd does not know the new schema, and leaves the file as it is.
    before = path.read_bytes()
    with pytest.raises(database.TooNew, match="schema version 2, and this hanoverd knows 1"):
        database.connect(str(path))
    assert path.read_bytes() == before


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    with opened(path) as connection:
        put(connection, Record(1, "start", 1.0))
    broken = (*database.MIGRATIONS, ("ALTER TABLE handovers ADD COLUMN host TEXT", "NONSENSE"))
    with closing(database.connect(str(path), broken)) as connection:
        with pytest.raises(sqlite3.Error):
            database.upgrade(connection, 2, broken)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert "host" not in [row[1] for row in connection.execute("PRAGMA table_info(handovers)")]
        assert [one["outcome"] for one in database.read(connection, ALL)] == [UNDER_WAY]


def test_values_that_an_older_hanoverd_did_not_write_have_their_defaults(path: Path) -> None:
    with opened(path) as connection:
        with connection:
            database.save(connection, [(1, 5.0, LIVE, "", '{"trigger": "start"}')])
        [found] = database.read(connection, ALL)
    assert found == Record(1, "start", 5.0, outcome=LIVE).json()


def test_only_the_last_handovers_are_kept(path: Path) -> None:
    with opened(path) as connection:
        put(connection, *(Record(number, "x", 1.0, outcome=LIVE) for number in range(1, MOST_HANDOVERS + 6)))
        ids = [one["id"] for one in database.read(connection, ALL)]
    assert ids == list(range(6, MOST_HANDOVERS + 6))


def test_only_the_newest_log_lines_are_kept(path: Path) -> None:
    why = "web-1 failed: it exited\n" + "é" * LONGEST_WHY
    count = 2 * database.MOST_LOG_BYTES // len(why.encode()) + 1
    with opened(path) as connection:
        for number in range(1, count + 1):
            put(connection, Record(number, "x", 1.0, outcome=FAILED, why=why))
        found = [one["why"] for one in database.read(connection, ALL)]
    whole = [one for one in found if one == why]
    assert len(found) == count
    assert set(found) == {why, "web-1 failed: it exited"}
    assert found[-len(whole) :] == whole
    assert 0.9 * database.MOST_LOG_BYTES < len(whole) * len(why.encode()) <= database.MOST_LOG_BYTES


def test_the_file_does_not_grow_without_an_end(path: Path) -> None:
    values = [Difference(f"Labels.{'x' * 150}{number}", "y" * 300, ["z"] * 60) for number in range(99)]
    with opened(path) as connection:
        for first in range(1, 400, 40):
            records = [Record(number, "x", 1.0, outcome=LIVE) for number in range(first, first + 40)]
            for record in records:
                record.compare(values)
            put(connection, *records)
        assert 50 < len(database.read(connection, ALL)) < 400
    assert path.stat().st_size < 2 * database.MOST_BYTES


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b"x" * path.stat().st_size),
        lambda path: path.write_bytes(path.read_bytes()[:-4096]),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:-2000] + b"\xff" * 2000),
        lambda path: path.write_bytes(path.read_bytes()[:50] + bytes(4046) + path.read_bytes()[4096:]),
    ],
)
def test_damage_is_found(path: Path, harm: Any) -> None:
    with opened(path) as connection:
        put(connection, *(Record(number, "x" * 500, 1.0) for number in range(1, 100)))
    harm(path)
    with pytest.raises((sqlite3.Error, database.Damaged)) as raised, opened(path):
        pass
    assert database.is_damage(raised.value)
    aside = database.set_aside(path)
    assert (aside.name, path.exists()) == ("history.sqlite3.damaged", False)
    with opened(path) as connection:
        assert database.read(connection, ALL) == []


def test_a_database_of_another_program_is_no_history(path: Path) -> None:
    path.parent.mkdir(0o700)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA user_version=1")
    with pytest.raises(database.Damaged, match="another program"):
        database.connect(str(path))


@pytest.mark.parametrize("ending", ["", *database.BESIDE])
def test_a_symbolic_link_is_refused(path: Path, ending: str) -> None:
    path.parent.mkdir(0o700)
    target = path.parent.parent / "target"
    Path(f"{path}{ending}").symlink_to(target)
    with pytest.raises(PermissionError) as raised:
        database.connect(str(path))
    assert not database.is_damage(raised.value)
    assert database.reason_of(raised.value) == "it is a symbolic link"
    assert not target.exists()


def test_a_file_that_another_process_has_open_is_locked(path: Path) -> None:
    with opened(path):
        with pytest.raises(sqlite3.OperationalError) as raised, opened(path):
            pass
        assert not database.is_damage(raised.value)
        assert database.reason_of(raised.value) == "another process has locked it"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.floats(0, 1e9)
counts = st.none() | st.integers(0, 10**6)
records = st.builds(
    Record,
    id=st.integers(1, 2**62),
    trigger=texts,
    began=st.floats(0, 4e9),
    app=texts,
    asked_by=st.lists(st.builds(Origin, texts, texts, counts, texts, texts), max_size=2),
    version=texts,
    number=counts,
    changes=st.none()
    | st.lists(st.fixed_dictionaries({"place": texts, "live": texts, "next": st.lists(texts)}), max_size=2),
    phases=st.lists(st.tuples(texts, seconds), max_size=3),
    outcome=texts,
    why=texts,
    took=st.none() | seconds,
    drained=st.lists(st.builds(Drained, texts, seconds, counts, counts), max_size=2),
    losses=st.integers(0, 3),
)


@given(st.lists(records, max_size=4, unique_by=lambda record: record.id))
def test_every_record_comes_back_as_it_was(several: list[Record]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        database.upgrade(connection, 1)
        put(connection, *several)
        assert database.read(connection, ALL) == [record.json() for record in sorted(several, key=lambda one: one.id)]


def test_text_that_no_encoding_has_is_saved(path: Path) -> None:
    with opened(path) as connection:
        put(connection, Record(1, "\udcff", 1.0, why="a\udcffb\0c"))
        [found] = database.read(connection, ALL)
    assert (found["trigger"], found["why"]) == ("\udcff", "a?b\0c")
