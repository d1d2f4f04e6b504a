"""One event of the log as a line: for a terminal, a file, the journal, or a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from twisted.logger import LogEvent, LogLevel, eventAsText, formatEvent

from hanoverd.logs.events import is_field

#: Returns the line, without its line feed; a message of several lines makes several.
Format = Callable[[LogEvent], str]

#: The two values of ``--log-format``.
TEXT, JSON = "text", "json"

#: What Twisted's logger adds to an event, besides the keys that start with ``log_``.
_TWISTED_FIELDS = frozenset({"event", "format", "isError", "message", "system", "time"})

#: The libraries whose everyday messages are of no use to an operator.  Warnings and errors of theirs are shown.
_CHATTY = frozenset({"autobahn", "log_legacy", "twisted", "txaio"})


def is_noise(event: LogEvent) -> bool:
    """Whether an event is left out of every log: debugging, and what Twisted reports about its own work."""
    level = _level(event)
    if level >= LogLevel.warn:
        return False
    return level < LogLevel.info or str(event.get("log_namespace", "")).partition(".")[0] in _CHATTY


def text_of(event: LogEvent) -> str:
    """Return the message, with the traceback of an internal error."""
    return eventAsText(event, includeTimestamp=False, includeSystem=False)


def as_json(event: LogEvent) -> str:
    """Return one JSON object: ``time``, ``level``, ``event``, ``message``, and the fields of the event."""
    shown: dict[str, Any] = {
        "time": timestamp(event),
        "level": _level(event).name,
        "event": event.get("event", "other"),
        "message": formatEvent(event),
    }
    if "event" in event:
        shown |= fields_of(event)
    if "log_failure" in event:
        shown["traceback"] = event["log_failure"].getTraceback()
    return json.dumps(shown)


def fields_of(event: LogEvent) -> dict[str, Any]:
    """Return the fields of an event, as far as JSON can represent them."""
    plain = {
        key: _plain(value)
        for key, value in event.items()
        if key not in _TWISTED_FIELDS and not key.startswith("log_") and is_field(event["event"], key)
    }
    return {key: value for key, value in plain.items() if value is not _NOT_PLAIN}


def timestamp(event: LogEvent) -> str:
    """Return the local time of an event, with its offset from UTC."""
    return datetime.fromtimestamp(event["log_time"]).astimezone().isoformat(timespec="milliseconds")


_NOT_PLAIN = object()


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, BaseException | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _NOT_PLAIN


def _level(event: LogEvent) -> Any:
    return event.get("log_level", LogLevel.info)
