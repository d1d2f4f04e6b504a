"""Server-sent events in parts of any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.web.event_lines import LONGEST_LINE, EventLines, Lines

STREAM = (
    b"retry: 1000\nid: 3f9a1c20-17-0\n\n"
    b'id: 3f9a1c20-18-0\nevent: live\ndata: {"event": "live"}\n\n:\n\n'
    b"id: 3f9a1c20-19-0\nevent: drained\ndata: {}\n\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_however_it_is_cut_the_events_are_the_same(cuts: list[int]) -> None:
    events, found, begin = EventLines(), [], 0
    for end in [*sorted(cuts), len(STREAM)]:
        found += events.take(STREAM[begin:end])
        begin = end
    assert [kind for kind in found if kind] == ["live", "drained"]
    assert found[0] == ""
    assert events.last_id == "3f9a1c20-19-0"


def test_a_line_without_end_takes_little_memory_and_is_no_event() -> None:
    events = EventLines()
    for _ in range(100):
        assert events.take(b"id: " * LONGEST_LINE) == []
    assert len(events._lines._begun) <= LONGEST_LINE
    assert events.take(b"\n" + STREAM)[-1] == "drained"


def test_the_rest_of_a_long_line_is_not_taken_for_a_line() -> None:
    lines = Lines(4)
    assert list(lines.take(b"abcdefgh\nij\nklmnop")) == [b"abcd", b"ij"]
    assert list(lines.take(b"qr\n\n")) == [b"klmn", b""]
