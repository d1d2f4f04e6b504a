"""The actions of the page, and the messages about them."""

from __future__ import annotations

import pytest

from hanoverd.web.actions import note_of, request_of
from hanoverd.web.notes import MOST_NOTES, Note, Notes


def test_each_action_is_a_request_to_the_daemon() -> None:
    for verb in ("deploy", "rollback", "cancel", "pause", "resume"):
        assert request_of(verb, "") == (f"/{verb}", {})
    assert request_of("rollback", "7") == ("/rollback", {"version": 7})
    assert request_of("stop", "") is None
    assert request_of("logs", "") is None


@pytest.mark.parametrize("version", ["x", "-1", "1.5", "9" * 19, "9" * 5000, "web-7", "٣"])
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(ValueError, match="must be the number of a version"):
        request_of("rollback", version)


@pytest.mark.parametrize(
    ("verb", "answer", "text", "is_error"),
    [
        ("deploy", {"handover": 3}, "a handover starts", False),
        ("rollback", {"handover": 3}, "a handover starts", False),
        ("cancel", {"handover": None}, "there is no handover to cancel", True),
        ("cancel", {"handover": {"outcome": "cancelled"}}, "is cancelled", False),
        ("cancel", {"handover": {"outcome": "live", "version": "web-3"}}, "too late to cancel: web-3 is live", True),
        ("pause", {"paused": True}, "paused", False),
        ("resume", {"held": ["SIGHUP", "push"]}, "for 2 triggers", False),
        ("resume", {"held": []}, "no trigger was held", False),
        ("resume", [], "no trigger was held", False),
    ],
)
def test_the_message_says_what_happened(verb: str, answer: object, text: str, is_error: bool) -> None:
    note = note_of(verb, "web", answer)
    assert text in note.text
    assert note.is_error is is_error


def test_a_message_is_shown_once() -> None:
    notes = Notes()
    first, second = notes.add(Note("first")), notes.add(Note("second", is_error=True))
    assert notes.take(second) == Note("second", is_error=True)
    assert notes.take(first).text == "first"
    assert notes.take(first) == notes.take("x") == Note()


def test_messages_that_no_one_looks_at_are_forgotten() -> None:
    notes = Notes()
    first = notes.add(Note("first"))
    last = [notes.add(Note(str(number))) for number in range(MOST_NOTES)]
    assert notes.take(first) == Note()
    assert notes.take(last[0]).text == "0"
