"""What is remembered of handovers."""

from __future__ import annotations

from twisted.internet.task import Clock

from hanoverd.deploy.history import MOST, History
from hanoverd.history.record import CANCELLED, FAILED, LIVE, LONGEST_TRIGGER, LONGEST_WHY, UNDER_WAY, Record


def test_a_handover_from_its_beginning_to_its_end() -> None:
    clock = Clock()
    history = History(lambda: 1000.0, clock.seconds)
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
        "version": "",
        "old": "",
        "rollback_to": "",
        "image": "",
        "image_id": "",
        "phases": [{"phase": "obtained", "seconds": 0.5}],
        "outcome": "cancelled",
        "why": "requested",
        "took": 3.0,
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
