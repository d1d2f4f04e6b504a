"""The record of a handover, and which ones are asked for."""

from __future__ import annotations

from hanoverd.history.record import LONGEST_VALUE, MOST_CHANGES, HistoryQuery, Record
from hanoverd.spec.differences import Difference


def test_long_differences_are_cut() -> None:
    record = Record(1, "x", 1.0)
    record.compare([Difference("Cmd", ["a" * 999], "b" * 999), Difference("Image", "web:1", None)])
    assert record.changes is not None
    [command, image] = record.changes
    assert command == {
        "place": "Cmd",
        "live": f'["{"a" * (LONGEST_VALUE - 2)}…',
        "next": f"{'b' * LONGEST_VALUE}…",
    }
    assert image == {"place": "Image", "live": "web:1", "next": None}
    record.compare([Difference("Env", None, str(number)) for number in range(999)])
    assert len(record.changes) == MOST_CHANGES


def test_the_newest_are_selected_by_their_numbers() -> None:
    # The clock was set back between the two.
    records = [{"id": 7, "began": 5.0}, {"id": 8, "began": 4.0}, {"id": 6, "began": 9.0}]
    assert [one["id"] for one in HistoryQuery(2).select(records)] == [7, 8]
    assert [one["id"] for one in HistoryQuery(9, since=5.0).select(records)] == [6, 7]
