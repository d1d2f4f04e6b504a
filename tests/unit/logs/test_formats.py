"""The text and JSON of one log event."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, capturedLogs

from hanoverd.logs.formats import as_json, for_file, for_journal, for_terminal, is_noise

#: 2026-01-15 13:03:21.104 UTC.
TIME = 1768482201.104


@pytest.fixture(autouse=True)
def _time_zone(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def logged(message: str, level: LogLevel = LogLevel.info, **fields: object) -> Any:
    with capturedLogs() as events:
        Logger("hanoverd.test").emit(level, message, **fields)
    return {**events[0], "log_time": TIME}


def ready() -> Any:
    return logged("{version}: ready in {took}", event="ready", version="web-3", seconds=0.004, took="4ms")


def test_on_a_terminal_a_line_is_the_time_of_day_and_the_message() -> None:
    assert for_terminal(ready(), colour=False) == "14:03:21 web-3: ready in 4ms"


def test_in_a_file_a_line_has_the_whole_time_with_its_offset() -> None:
    assert for_file(ready()) == "2026-01-15T14:03:21.104+01:00 web-3: ready in 4ms"


def test_in_the_journal_a_line_has_its_priority_and_no_time() -> None:
    assert for_journal(ready()) == "<6>web-3: ready in 4ms"


@pytest.mark.parametrize(
    ("level", "word", "priority"),
    [(LogLevel.warn, "WARN", 4), (LogLevel.error, "ERROR", 3), (LogLevel.critical, "CRITICAL", 2)],
)
def test_a_level_that_is_not_info_is_shown(level: LogLevel, word: str, priority: int) -> None:
    event = logged("web: no", level)
    assert for_terminal(event, colour=False) == f"14:03:21 {word} web: no"
    assert for_file(event) == f"2026-01-15T14:03:21.104+01:00 {word} web: no"
    assert for_journal(event) == f"<{priority}>web: no"


def test_colours_are_for_the_time_the_level_and_the_name_of_a_version_that_prints() -> None:
    error = for_terminal(logged("web: no", LogLevel.error), colour=True)
    assert error == "\033[2m14:03:21\033[0m \033[1;31mERROR\033[0m web: no"
    output = logged("{version}  | {line}", event="output", version="web-3", line="web-3 listens")
    assert for_terminal(output, colour=True) == "\033[2m14:03:21\033[0m \033[36mweb-3\033[0m  | web-3 listens"
    assert for_terminal(output, colour=False) == "14:03:21 web-3  | web-3 listens"


def test_the_lines_of_one_message_stay_together() -> None:
    event = logged("web: no\nbecause")
    assert for_terminal(event, colour=False) == "14:03:21 web: no\n         because"
    assert for_file(event) == "2026-01-15T14:03:21.104+01:00 web: no\n    because"
    assert for_journal(event) == "<6>web: no\n<6>because"


def test_json_has_the_message_and_the_fields() -> None:
    assert json.loads(as_json(ready())) == {
        "time": "2026-01-15T14:03:21.104+01:00",
        "level": "info",
        "event": "ready",
        "message": "web-3: ready in 4ms",
        "version": "web-3",
        "seconds": 0.004,
        "took": "4ms",
    }


def test_json_is_one_line_whatever_the_message() -> None:
    assert "\n" not in as_json(logged("web: no\nbecause"))


def test_json_has_errors_and_paths_as_text_and_leaves_out_what_it_cannot_represent() -> None:
    event = logged(
        "no", event="of_a_plugin", error=ValueError("why"), path=Path("/a"), it=object(), all=(1, {"a": None})
    )
    found = json.loads(as_json(event))
    assert {key: found[key] for key in found if key not in ("time", "level", "message")} == {
        "event": "of_a_plugin",
        "error": "why",
        "path": "/a",
        "all": [1, {"a": None}],
    }


def test_json_leaves_out_data_of_the_message_alone() -> None:
    event = logged("{why}", event="trigger", app="web", reasons=("SIGHUP",), why="SIGHUP")
    assert "why" not in json.loads(as_json(event))


def test_json_has_the_traceback_of_an_internal_error() -> None:
    with capturedLogs() as events:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            Logger("hanoverd.test").failure("internal error", event="internal_error")
    found = json.loads(as_json(events[0]))
    assert (found["level"], found["message"]) == ("critical", "internal error")
    assert "ZeroDivisionError" in found["traceback"]
    assert "ZeroDivisionError" in for_file(events[0])


@pytest.mark.parametrize(
    ("namespace", "level", "noise"),
    [
        ("twisted.web.client._HTTP11ClientFactory", LogLevel.info, True),
        ("twisted.internet.protocol.Factory", LogLevel.warn, False),
        ("log_legacy", LogLevel.info, True),
        ("log_legacy", LogLevel.critical, False),
        ("autobahn", LogLevel.info, True),
        ("hanoverd.daemon", LogLevel.info, False),
        ("hanoverd.daemon", LogLevel.debug, True),
        ("a_source_plugin", LogLevel.info, False),
        ("stdout", LogLevel.info, False),
    ],
)
def test_what_twisted_reports_about_itself_is_noise_and_its_warnings_are_not(
    namespace: str, level: LogLevel, *, noise: bool
) -> None:
    assert is_noise({"log_namespace": namespace, "log_level": level}) is noise
