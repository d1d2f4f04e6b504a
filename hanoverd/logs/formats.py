"""One event of the log as text: for a terminal, a file, the journal, or a program.

Messages contain text from elsewhere: from containers, programs, the engine, other hosts. All text formats escape control
characters here, in one place, and indent all lines of a message but the first: only hanoverd starts a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from twisted.logger import LogEvent, LogLevel, eventAsText, formatEvent

from hanoverd.logs.events import HOOK_OUTPUT, OUTPUT, is_field
from hanoverd.text.escapes import escaped, escaped_output
from hanoverd.text.lines import parts_of, shortened

#: Returns the text of an event, without the last line feed; a message of several lines makes several.
Format = Callable[[LogEvent], str]

#: The two values of ``--log-format``.
TEXT, JSON = "text", "json"

#: How much of a message, and of one field in JSON, is shown, in characters.
LONGEST_TEXT = 64 * 1024

#: The longest line for the journal and syslog, in bytes. journald splits a line that is longer than 48 KiB (LineMax,
#: journald.conf(5)), and takes the rest for a line of its own, with a level of its own.
LONGEST_JOURNAL_LINE = 40 * 1024

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
    """Return the message, with the traceback of an internal error, and without control characters and colours."""
    kind = event.get("event")
    if kind == OUTPUT:
        return _output(event, _plain_text, colour=False)
    text = shortened(eventAsText(event, includeTimestamp=False, includeSystem=False), LONGEST_TEXT)
    return escaped_output(text, colour=False) if kind == HOOK_OUTPUT else escaped(text)


def for_terminal(event: LogEvent, *, colour: bool) -> str:
    """Return the local time, the level unless it is info, and the message: ``14:03:21 web-3: ready in 4ms``."""
    time = f"{_local_time(event):%H:%M:%S}"
    paint = _painted if colour else _plain_text
    message = _output(event, paint, colour=colour) if event.get("event") == OUTPUT else text_of(event)
    return _indented(f"{paint(time, _FAINT)} {_level_word(event, paint)}{message}", len(time) + 1)


def for_file(event: LogEvent) -> str:
    """Return the time with its offset from UTC, the level unless it is info, and the message."""
    return f"{timestamp(event)} {without_time(event)}"


def without_time(event: LogEvent) -> str:
    """Return the level unless it is info, and the message."""
    return _indented(f"{_level_word(event, _plain_text)}{text_of(event)}", _INDENT)


def for_journal(event: LogEvent) -> str:
    """Return the message as sd-daemon(3) says: journald takes the level from ``<N>``, and adds the time itself."""
    priority = priority_of(event)
    return "\n".join(f"<{priority}>{line}" for line in for_syslog(event).split("\n"))


def for_syslog(event: LogEvent) -> str:
    """Return the message; the level and the time are not part of the text, and long lines are split."""
    room = LONGEST_JOURNAL_LINE - _INDENT
    lines = (parts_of(line.encode(errors="replace"), room) for line in text_of(event).split("\n"))
    return _indented("\n".join(part.decode() for parts in lines for part in parts), _INDENT)


def as_journal_json(event: LogEvent) -> str:
    """Return the same as ``as_json``, with less of long texts if the line is too long for the journal."""
    line = as_json(event)
    # With a message and two fields of this length, each character as an escape of twelve, it is short enough.
    return line if len(line) <= LONGEST_JOURNAL_LINE else as_json(event, 1000)


def as_json(event: LogEvent, longest: int = LONGEST_TEXT) -> str:
    """Return one JSON object: ``time``, ``level``, ``event``, ``message``, and the fields of the event.

    Texts are cut after ``longest`` characters.
    """
    shown: dict[str, Any] = {
        "time": timestamp(event),
        "level": _level(event).name,
        "event": event.get("event", "other"),
        "message": shortened(formatEvent(event), longest),
    }
    if "event" in event:
        shown |= fields_of(event, longest)
    if "log_failure" in event:
        shown["traceback"] = shortened(event["log_failure"].getTraceback(), longest)
    # JSON's own escapes leave DEL.
    return json.dumps(shown).replace("\x7f", "\\u007f")


def fields_of(event: LogEvent, longest: int = LONGEST_TEXT) -> dict[str, Any]:
    """Return the fields of an event, as far as JSON can represent them; texts are cut after ``longest`` characters."""
    plain = {
        key: _plain(value, longest)
        for key, value in event.items()
        if key not in _TWISTED_FIELDS and not key.startswith("log_") and is_field(event["event"], key)
    }
    return {key: value for key, value in plain.items() if value is not _NOT_PLAIN}


def timestamp(event: LogEvent) -> str:
    """Return the local time of an event, with its offset from UTC."""
    return _local_time(event).isoformat(timespec="milliseconds")


def _local_time(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event["log_time"]).astimezone()


def priority_of(event: LogEvent) -> int:
    """Return the level as syslog counts (RFC 5424): 6 is info, 2 critical."""
    return _PRIORITIES[_level(event)]


_PRIORITIES = {LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2}

#: By how many columns the lines of a message but the first are indented, in a file and in the journal.
_INDENT = 4

#: ECMA-48's codes for the rendition of text.
_FAINT, _CYAN, _YELLOW, _RED = "2", "36", "33", "1;31"

_COLOURS = {LogLevel.warn: _YELLOW, LogLevel.error: _RED, LogLevel.critical: _RED}


def _plain_text(text: str, _colour: str) -> str:
    return text


def _painted(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m"


def _level_word(event: LogEvent, paint: Callable[[str, str], str]) -> str:
    level = _level(event)
    return "" if level < LogLevel.warn else f"{paint(level.name.upper(), _COLOURS[level])} "


def _output(event: LogEvent, paint: Callable[[str, str], str], *, colour: bool) -> str:
    """Return a line that a version printed; the name in colour shows at a glance which lines are the app's."""
    return f"{paint(event['version'], _CYAN)}  | {escaped_output(event['line'], colour=colour)}"


def _indented(text: str, columns: int) -> str:
    """Indent all lines but the first."""
    return text.replace("\n", "\n" + " " * columns)


_NOT_PLAIN = object()


def _plain(value: object, longest: int) -> object:
    if isinstance(value, str | BaseException | PurePath):
        return shortened(str(value), longest)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(one, longest) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, longest) for one in value]
    return _NOT_PLAIN


def _level(event: LogEvent) -> Any:
    return event.get("log_level", LogLevel.info)
