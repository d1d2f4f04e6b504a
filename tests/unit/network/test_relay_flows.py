"""Which UDP flows are remembered."""

from __future__ import annotations

import pytest

from hanoverd.network.relay_flows import FlowTable, FlowTimeouts


@pytest.fixture
def table() -> FlowTable[str, str]:
    return FlowTable(3, FlowTimeouts(unanswered=30, answered=120))


def test_a_flow_is_found_by_its_key(table: FlowTable[str, str]) -> None:
    table.add("a", "A", 0)
    assert (table.get("a", 0), table.get("b", 0), len(table), list(table)) == ("A", None, 1, ["A"])
    table.remove("a")
    table.remove("a")
    assert (table.get("a", 0), len(table)) == (None, 0)


def test_a_silent_flow_expires_later_if_it_was_answered(table: FlowTable[str, str]) -> None:
    table.add("a", "A", 0)
    table.add("b", "B", 0)
    table.note_answer("b", 1)
    assert table.pop_expired(29.9) == []
    assert table.pop_expired(30) == ["A"]
    assert table.pop_expired(120.9) == []
    assert table.pop_expired(121) == ["B"]
    assert len(table) == 0


def test_each_datagram_keeps_a_flow(table: FlowTable[str, str]) -> None:
    table.add("a", "A", 0)
    table.add("b", "B", 1)
    table.get("a", 20)
    assert table.pop_expired(31) == ["B"]
    table.note_answer("a", 40)
    table.get("a", 100)
    table.note_answer("a", 150)
    assert table.pop_expired(269) == []
    assert table.pop_expired(270) == ["A"]


def test_the_flow_that_is_silent_for_longest_leaves_when_there_are_too_many(table: FlowTable[str, str]) -> None:
    for time, key in enumerate("abc"):
        assert table.add(key, key.upper(), time) is None
    table.get("a", 5)
    assert table.add("d", "D", 6) == "B"
    assert sorted(table) == ["A", "C", "D"]


def test_a_flow_without_an_answer_leaves_first(table: FlowTable[str, str]) -> None:
    for time, key in enumerate("abc"):
        table.add(key, key.upper(), time)
    table.note_answer("a", 3)
    table.get("b", 100)
    assert table.add("d", "D", 100) == "C"
    for key in "bd":
        table.note_answer(key, 101)
    assert table.answered == ["A", "B", "D"]
    # Now all were answered.
    assert table.add("e", "E", 102) == "A"


def test_an_answer_to_a_flow_that_has_ended_is_no_flow(table: FlowTable[str, str]) -> None:
    table.note_answer("a", 0)
    assert len(table) == 0
