"""What a user can do to an app on the page: each is one request to the app's daemon, and a message about its answer.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanoverd.spec.names import MOST_NUMBER
from hanoverd.text.counting import counted
from hanoverd.text.decimal import parse_decimal
from hanoverd.web.notes import Note


def request_of(verb: str, version: str) -> tuple[str, dict[str, object]] | None:
    """Return the path and the body of the request for a form; None for an action that is not known.

    ``version`` is what the form asks to roll back to: the number of a version, or "" for the one before.  ValueError.
    """
    if verb not in _ANSWERS:
        return None
    if verb != "rollback" or not version:
        return f"/{verb}", {}
    number = parse_decimal(version)
    if number is None or number > MOST_NUMBER:
        raise ValueError("the version to roll back to must be the number of a version")
    return "/rollback", {"version": number}


def note_of(verb: str, app: str, answer: Any) -> Note:
    """Return the message about the answer of a daemon."""
    return _ANSWERS[verb](app, answer if isinstance(answer, dict) else {})


def _started(app: str, _answer: Mapping[str, Any]) -> Note:
    return Note(f"{app}: a handover starts.")


def _cancelled(app: str, answer: Mapping[str, Any]) -> Note:
    record = answer.get("handover")
    if not isinstance(record, dict):
        return Note(f"{app}: there is no handover to cancel.", is_error=True)
    if record.get("outcome") == "live":
        return Note(f"{app}: too late to cancel: {record.get('version')} is live.", is_error=True)
    return Note(f"{app}: the handover is cancelled.")


def _paused(app: str, _answer: Mapping[str, Any]) -> Note:
    return Note(f"{app}: paused: triggers are held until you resume.")


def _resumed(app: str, answer: Mapping[str, Any]) -> Note:
    held = answer.get("held")
    if isinstance(held, list) and held:
        return Note(f"{app}: resumed: a handover starts, for {counted(len(held), 'trigger', 'triggers')}.")
    return Note(f"{app}: resumed: no trigger was held.")


_ANSWERS: Mapping[str, Callable[[str, Mapping[str, Any]], Note]] = {
    "deploy": _started,
    "rollback": _started,
    "cancel": _cancelled,
    "pause": _paused,
    "resume": _resumed,
}
