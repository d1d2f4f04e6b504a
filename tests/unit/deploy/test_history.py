"""What is remembered of handovers."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from hanoverd.deploy.history import MOST, History
from hanoverd.history.record import (
    CANCELLED,
    COMMAND,
    FAILED,
    HOOKBOT,
    LIVE,
    LONGEST_TRIGGER,
    LONGEST_WHY,
    OTHER,
    RESTART,
    SIGNAL,
    UNDER_WAY,
    Drained,
    HistoryQuery,
    Origin,
    Record,
)
from tests.coroutines import Run


def test_a_handover_from_its_beginning_to_its_end() -> None:
    clock = Clock()
    history = History(lambda: 1000.0, clock.seconds, "web")
    assert history.last is None
    record = history.start(["SIGHUP", "hookbot"])
    assert (record.id, record.trigger, record.began, record.outcome) == (1, "SIGHUP, hookbot", 1000.0, UNDER_WAY)
    assert not record.is_over
    ended: list[Record] = []
    history.on_finish(ended.append)
    record.phases.append(("obtained", 0.5))
    clock.advance(3)
    history.finish(record, CANCELLED, "requested")
    assert ended == [record]
    assert record.json() == {
        "id": 1,
        "trigger": "SIGHUP, hookbot",
        "began": 1000.0,
        "app": "web",
        "asked_by": [{"kind": "other", "user": "", "uid": None, "topic": "", "commit": ""}],
        "version": "",
        "number": None,
        "old": "",
        "rollback_to": "",
        "source": "",
        "revision": "",
        "image": "",
        "image_id": "",
        "changes": None,
        "phases": [{"phase": "obtained", "seconds": 0.5}],
        "outcome": "cancelled",
        "why": "requested",
        "took": 3.0,
        "drained": [],
        "losses": 0,
    }


def test_one_that_never_began_does_not_hide_the_one_under_way() -> None:
    clock = Clock()
    history = History(lambda: 0.0, clock.seconds)
    under_way = history.start(["a"])
    clock.advance(1)
    history.finish(history.start(["b"]), CANCELLED, "replaced by a newer request")
    assert history.last is under_way
    clock.advance(1)
    history.finish(under_way, LIVE)
    assert [record.took for record in history] == [2.0, 0.0]
    assert history.last is not under_way


def test_a_number_that_was_reserved() -> None:
    history = History(lambda: 0.0, lambda: 0.0)
    number = history.reserve_number()
    other = history.start(["other"])
    record = history.start(["deploy"], number)
    assert (number, other.id, record.id) == (1, 2, 1)
    # It was put off, and continues.
    assert history.start(["deploy"], number) is record
    assert history.last is record


def test_the_last_ones_are_remembered() -> None:
    history = History(lambda: 0.0, lambda: 0.0)
    for _ in range(MOST + 5):
        history.finish(history.start(["x"]), LIVE)
    assert [record.id for record in history][:: MOST - 1] == [6, MOST + 5]
    assert history.get(5) is None
    assert history.get(6) is next(iter(history))
    assert history.last is history.get(MOST + 5)


def test_long_texts_are_cut() -> None:
    history = History(lambda: 0.0, lambda: 0.0)
    record = history.start(["x" * 100_000, "y"])
    history.finish(record, FAILED, "z" * 1_000_000)
    assert (len(record.trigger), len(record.why)) == (LONGEST_TRIGGER + 1, LONGEST_WHY + 1)


def test_who_and_what_is_behind_a_handover() -> None:
    history = History(lambda: 0.0, lambda: 0.0)
    signal, push = Origin(SIGNAL), Origin(HOOKBOT, topic="example/web", commit="0123")
    alice, bob = Origin(COMMAND, "alice", 1000), Origin(COMMAND, "bob", 1001)
    history.note_origin("SIGHUP", signal)
    history.note_origin("alice pushed 0123", push)
    # Two commands with the same words, from two users.
    first, second = history.reserve_number(alice), history.reserve_number(bob)
    by_bob = history.start(["alice pushed 0123", "hanoverd deploy"], second)
    by_alice = history.start(["SIGHUP", "SIGHUP", "hanoverd deploy"], first)
    assert (by_alice.asked_by, by_bob.asked_by) == ([signal, alice], [push, bob])
    assert history.start(["the live version exited"], kind=RESTART).asked_by == [Origin(RESTART)]
    assert history.start(["of a plugin"]).asked_by == [Origin(OTHER)]
    # Pushes have ever new reasons.
    for number in range(500):
        history.note_origin(f"pushed {number}", push)
    assert len(history._origins) == 100


def test_the_end_of_connections_belongs_to_the_handover_that_replaced_their_version() -> None:
    history = History(lambda: 0.0, lambda: 0.0)
    failed, live, other = (history.start(["x"]) for _ in range(3))
    for record, outcome in ((failed, FAILED), (live, LIVE), (other, LIVE)):
        record.old = "web-7" if record is other else "web-1"
        history.finish(record, outcome)
    drained = Drained("web-1", 2.5, 3, 1)
    history.drained(drained)
    history.drained(Drained("web-99", 1.0, 0, 0))
    assert [record.drained for record in history] == [[], [drained], []]


class Saved:
    """A store with the handovers of an earlier run, up to number 7."""

    def __init__(self) -> None:
        self.saved: list[tuple[int, str]] = []
        self.is_closed = False

    def open(self) -> int:
        """Return the number of the last one."""
        return 7

    def save(self, record: Record) -> None:
        """Note that it was saved."""
        self.saved.append((record.id, record.outcome))

    async def read(self, _query: HistoryQuery) -> list[dict[str, Any]]:
        """Return one of an earlier run, and one of this run as it was saved some time ago."""
        return [Record(7, "earlier", 1.0, outcome=LIVE).json(), Record(8, "x", 5.0).json()]

    async def close(self) -> None:
        """Note that it is closed."""
        self.is_closed = True


def test_the_numbers_of_earlier_runs_are_continued() -> None:
    store = Saved()
    history = History(lambda: 5.0, lambda: 0.0, "web", store)
    history.open()
    assert not history.is_known(7)
    assert not history.is_known(8)
    record = history.start(["x"])
    history.finish(record, LIVE)
    record.old = "web-0"
    history.drained(Drained("web-0", 1.0, 0, 0))
    assert store.saved == [(8, UNDER_WAY), (8, LIVE), (8, LIVE)]
    assert history.is_known(8)
    assert not history.is_known(7)
    [found] = Run(history.search(HistoryQuery(10))).results
    assert [(one["id"], one["outcome"]) for one in found] == [(7, LIVE), (8, LIVE)]  # type: ignore[attr-defined]
    assert Run(history.search(HistoryQuery(10, since=6.0))).results == [[]]
    Run(history.close())
    assert store.is_closed


def test_without_a_store_the_last_ones_are_searched() -> None:
    history = History(lambda: 5.0, lambda: 0.0)
    history.open()
    history.start(["x"])
    assert Run(history.search(HistoryQuery(1))).results == [[record.json() for record in history]]
    assert Run(history.close()).results == [None]
