"""The ring of events: what a client gets, in which order, and what it learns of events that it has missed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanoverd.logs import event_ring
from hanoverd.logs.entry import entry_of
from hanoverd.logs.event_ring import EventReader, EventRing
from hanoverd.spec.event_id import EventID


class Ring(EventRing):
    """With numbered events and lines of output; ``all`` are the numbers of all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[int] = []

    def log(self, *, output: bool = False, size: int = 0) -> None:
        number = len(self.all)
        self.all.append(number)
        own: dict[str, Any] = {"event": "ready", "version": "x" * size, "log_format": f"web-1: {number}"}
        printed = {"event": "output", "version": "web-1", "line": str(number), "log_format": "{version}  | {line}"}
        self.add(entry_of({"log_time": float(number), **(printed if output else own)}))


def rest(reader: EventReader) -> list[dict[str, Any]]:
    """All that a reader has to read."""
    found = []
    while (event := reader.next()) is not None:
        data = json.loads(event.data)
        assert (data["id"], data["event"], data["v"]) == (str(event.id), event.kind, 1)
        assert event.id == reader.position
        found.append(data)
    return found


def number(data: dict[str, Any]) -> int:
    return int(data["message"].split()[-1])


def test_a_new_client_gets_what_happens_from_now_on() -> None:
    ring = Ring()
    ring.log()
    reader = ring.reader(None)
    assert rest(reader) == []
    ring.log()
    [event] = rest(reader)
    assert (event["id"], event["event"], event["message"]) == (f"{ring.run}-2-0", "ready", "web-1: 1")
    assert rest(reader) == []


def test_followers_are_called_when_the_event_can_be_read() -> None:
    ring = Ring()
    reader, read = ring.reader(None), []
    ring.followers.add(lambda _: read.extend(rest(reader)))
    ring.log()
    ring.log()
    assert [number(event) for event in read] == [0, 1]


def test_followers_learn_whether_it_is_output() -> None:
    ring = Ring()
    heard: list[bool] = []
    ring.followers.add(heard.append)
    ring.log()
    ring.log(output=True)
    assert heard == [False, True]


def test_an_event_is_made_once_for_all_clients_that_follow() -> None:
    ring = Ring()
    readers = [ring.reader(None, output=is_output) for is_output in (False, True, False)]
    ring.log()
    first, second, third = [reader.next() for reader in readers]
    assert first is not None
    assert first is second is third
    assert first.block.decode() == f"id: {ring.run}-1-0\nevent: ready\ndata: {first.data}\n\n"


def test_output_is_for_those_who_ask_for_it() -> None:
    ring = Ring()
    events, both = ring.reader(None), ring.reader(None, output=True)
    for is_output in (True, False, True, True, False):
        ring.log(output=is_output)
    assert [number(event) for event in rest(events)] == [1, 4]
    assert [number(event) for event in rest(both)] == [0, 1, 2, 3, 4]


def test_a_flood_of_output_displaces_no_event() -> None:
    ring = Ring()
    first = ring.reader(None).position
    ring.log()
    for _ in range(3 * event_ring.MOST):
        ring.log(output=True)
    assert [event["event"] for event in rest(ring.reader(first))] == ["ready"]
    missed, *others = rest(ring.reader(first, output=True))
    assert (missed["event"], missed["count"]) == ("missed", 2 * event_ring.MOST)
    assert len(others) == event_ring.MOST + 1


def test_a_client_resumes_after_the_event_that_it_had() -> None:
    ring = Ring()
    reader = ring.reader(None)
    for _ in range(5):
        ring.log()
    had = [reader.next(), reader.next()]
    assert had[-1] is not None
    assert [number(event) for event in rest(ring.reader(EventID.parse(str(had[-1].id))))] == [2, 3, 4]


def test_a_client_that_falls_behind_learns_how_many_it_has_missed_and_goes_on() -> None:
    ring = Ring()
    reader = ring.reader(None)
    for _ in range(event_ring.MOST + 7):
        ring.log()
    missed, *others = rest(reader)
    assert (missed["event"], missed["level"], missed["count"]) == ("missed", "warn", 7)
    assert missed["message"].startswith("events: 7 events are missing: the client read too slowly")
    assert [number(event) for event in others] == list(range(7, event_ring.MOST + 7))


def test_the_id_of_another_run_is_answered_with_all_that_is_kept_and_a_word_that_more_may_be_missing() -> None:
    ring = Ring()
    ring.log()
    ring.log()
    for other in (EventID("00000000", 1, 1), EventID(ring.run, 3, 0), EventID(ring.run, 0, 9)):
        missed, *others = rest(ring.reader(other))
        assert (missed["event"], missed["count"], missed["reason"]) == ("missed", None, "hanoverd was started again")
        assert [number(event) for event in others] == [0, 1]


def test_two_runs_have_different_ids() -> None:
    assert EventRing().run != EventRing().run


def test_a_client_can_ask_for_what_happened_since_a_time() -> None:
    ring = Ring()
    for is_output in (False, True, False, True, False):
        ring.log(output=is_output)
    assert [number(event) for event in rest(ring.reader(2.0))] == [2, 4]
    assert [number(event) for event in rest(ring.reader(2.0, output=True))] == [2, 3, 4]
    assert [number(event) for event in rest(ring.reader(0.0))] == [0, 2, 4]
    assert rest(ring.reader(99.0, output=True)) == []


def test_large_events_take_little_memory() -> None:
    ring = Ring()
    for _ in range(event_ring.MOST):
        ring.log(size=60_000)
    missed, *others = rest(ring.reader(EventID(ring.run)))
    assert missed["count"] == event_ring.MOST - len(others)
    assert 10 < len(others) < event_ring.MOST_BYTES / 60_000


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.booleans(), st.integers(0, 3))),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.integers(1, 6),
)
def test_nothing_is_lost_or_repeated_however_clients_read(
    steps: list[bool | int], with_output: list[bool], kept: int
) -> None:
    """A step that is a truth value logs: output, or not; a number has that client read one event, and resume from its ID."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_ring, "MOST", kept)
        ring = Ring()
        is_output: list[bool] = []
        readers = [ring.reader(None, output=wants) for wants in with_output]
        read: list[list[int]] = [[] for _ in readers]
        missed = [0 for _ in readers]
        positions = [0 for _ in readers]

        def take(client: int) -> bool:
            event = readers[client].next()
            if event is None:
                return False
            data = json.loads(event.data)
            if event.kind == "missed":
                missed[client] += data["count"]
            else:
                read[client].append(number(data))
            assert event.id.events + event.id.output >= positions[client]
            positions[client] = event.id.events + event.id.output
            readers[client] = ring.reader(EventID.parse(str(event.id)), output=with_output[client])
            return True

        for step in steps:
            if isinstance(step, bool):
                is_output.append(step)
                ring.log(output=step)
            else:
                take(step)
        for client, wants in enumerate(with_output):
            while take(client):
                pass
            wanted = [one for one in ring.all if wants or not is_output[one]]
            assert len(read[client]) + missed[client] == len(wanted)
            assert len(set(read[client])) == len(read[client])
            assert set(read[client]) <= set(wanted)
            # The newest ones are there, and all are in order unless something was missed.
            own = [one for one in ring.all if not is_output[one]]
            assert set(own[-kept:]) <= set(read[client])
            if not missed[client]:
                assert read[client] == wanted


@pytest.mark.parametrize(
    "text", ["", "1", "3f9a1c20-1", "3f9a1c20-1-", "3F9A1C20-1-1", "3f9a1c20-1-\u0661", f"3f9a1c20-{'9' * 19}-1"]
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="it must be the ID of an event, such as 3f9a1c20-17-240"):
        EventID.parse(text)


@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_an_id_is_read_as_it_was_written(events: int, output: int) -> None:
    made = EventID("3f9a1c20", events, output)
    assert EventID.parse(str(made)) == made
