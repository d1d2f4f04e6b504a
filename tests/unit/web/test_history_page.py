"""The history, a page at a time."""

from __future__ import annotations

import pytest

from hanoverd.web.handovers import handover_of, history_of
from hanoverd.web.query import PAGE_LENGTH, AppQuery
from tests.fakes.app_reports import NOW, handover, many_handovers

RECORDS = many_handovers(60).handovers


def test_the_newest_handovers_come_first_and_older_ones_are_a_link_away() -> None:
    seen: list[int] = []
    query = AppQuery()
    while True:
        page = history_of(RECORDS, query, NOW)
        seen += [row.handover.id for row in page.rows]
        assert len(page.rows) <= PAGE_LENGTH
        if not page.older:
            break
        query = AppQuery.of({b"before": [page.older.partition("before=")[2].encode()]})
    assert seen == list(range(60, 0, -1))
    assert page.newest == "?"


def test_one_outcome_can_be_chosen_and_each_has_its_count() -> None:
    page = history_of(RECORDS, AppQuery(outcome="failed"), NOW)
    assert {row.handover.outcome for row in page.rows} == {"failed"}
    assert [(one.word, one.count, one.url, one.is_chosen) for one in page.choices] == [
        ("All", "60", "?", False),
        ("Live", "48", "?outcome=live", False),
        ("Failed", "6", "?outcome=failed", True),
        ("Cancelled", "6", "?outcome=cancelled", False),
    ]


def test_where_only_the_newest_handovers_are_known_nothing_is_counted() -> None:
    page = history_of(RECORDS[30:], AppQuery(), NOW)
    assert [(one.word, one.count) for one in page.choices] == [
        ("All", ""),
        ("Live", ""),
        ("Failed", ""),
        ("Cancelled", ""),
        ("Unchanged", ""),
        ("Interrupted", ""),
    ]


def test_an_empty_history_is_a_page_too() -> None:
    page = history_of((), AppQuery(outcome="failed"), NOW)
    assert (page.rows, page.older, page.summary, page.scale) == ((), "", "", "")


def test_a_bar_that_has_no_room_says_so() -> None:
    records = [handover(number, took=1.0) for number in range(1, 5)]
    slow = handover(5, took=100.0, phases=[{"phase": "obtained", "seconds": 100.0}])
    rows = history_of([*records, slow], AppQuery(), NOW).rows
    assert [row.is_longer for row in rows] == [True, False, False, False, False]
    assert history_of(records, AppQuery(), NOW).summary == "A version is usually live after 1s."


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({}, AppQuery()),
        ({b"before": [b"12"], b"outcome": [b"failed"]}, AppQuery(12, "failed")),
        ({b"before": [b"-1"], b"outcome": [b"<b>"]}, AppQuery()),
        ({b"before": [b"\xff"], b"outcome": [b"\xff"]}, AppQuery()),
        ({b"before": [], b"note": [b"3"]}, AppQuery()),
    ],
)
def test_a_query_that_makes_no_sense_is_left_out(arguments: dict[bytes, list[bytes]], query: AppQuery) -> None:
    assert AppQuery.of(arguments) == query


def test_a_handover_says_who_asked_and_what_changed_and_how_connections_ended() -> None:
    changes = [
        {"place": "HostConfig.Memory", "live": None, "next": 1024},
        {"place": "Image", "live": "a", "next": "x" * 500},
    ]
    drained = [
        {"version": "web-3", "seconds": 1.5, "finished": 3, "cut": 1},
        {"version": "web-2", "seconds": 0.2, "finished": None, "cut": None},
    ]
    found = handover_of(handover(5, changes=changes, drained=drained), NOW)
    assert found.asked == "hanoverd deploy, by alice"
    assert found.changes is not None
    assert [(one.place, one.live, one.next[:5], len(one.next)) for one in found.changes] == [
        ("HostConfig.Memory", "none", "1024", 4),
        ("Image", "a", "xxxxx", 121),
    ]
    assert found.drained == (
        "web-3 drained for 1.5s: 3 connections finished, 1 cut",
        "web-2 drained for 200ms; how many connections it had is not known",
    )


def test_a_reason_without_end_is_cut() -> None:
    found = handover_of(handover(5, "failed", why="a" * 5000 + "\n" + "\n".join(["b" * 5000] * 500)), NOW)
    assert len(found.reason) == 1001
    assert [len(line) for line in found.output] == [1001] * 50


def test_a_user_without_a_name_is_shown_by_the_number() -> None:
    asked = [{"kind": "command", "user": "", "uid": 1234, "topic": "", "commit": ""}]
    assert handover_of(handover(5, asked_by=asked), NOW).asked == "hanoverd deploy, by uid 1234"
