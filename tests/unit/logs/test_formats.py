"""The text and JSON of one log event."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, capturedLogs

from hanoverd.logs.formats import (
    LONGEST_TEXT,
    as_journal_json,
    as_json,
    for_file,
    for_journal,
    for_syslog,
    for_terminal,
    is_noise,
    without_time,
)

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
    assert for_journal(event) == "<6>web: no\n<6>    because"
    assert for_syslog(event) == "web: no\n    because"


#: What ends a line somewhere, or moves the cursor, or reorders what a line shows.
HOSTILE = "\v\f\r\x1c\x85\u2028\u2029 web-1: live\x1b[2J\x9b1A\u202e\u2066\0"
SHOWN = r"\v\f\r\x1c\u0085\u2028\u2029 web-1: live\x1b[2J\u009b1A\u202e\u2066\x00"


@pytest.mark.parametrize(
    "event",
    [
        lambda text: logged("{version}  | {line}", event="output", version="web-3", line=text),
        lambda text: logged("hook {hook}: {line}", event="hook_output", hook="live", line=text),
        lambda text: logged("{version}: failed: {error}", LogLevel.error, event="failed", version="web-3", error=text),
        lambda text: logged("a plugin says {text}", text=text),
    ],
)
def test_no_text_from_elsewhere_starts_a_line_or_moves_the_cursor(event: Callable[[str], Any]) -> None:
    made = event(HOSTILE)
    for shown in (
        for_terminal(made, colour=False),
        for_terminal(made, colour=True),
        for_file(made),
        without_time(made),
        for_journal(made),
        for_syslog(made),
    ):
        assert shown.endswith(SHOWN)
        assert len(shown.splitlines()) == 1
    found = as_json(made)
    assert all(" " <= char <= "~" for char in found)
    assert json.loads(found)["message"].endswith(HOSTILE)


def test_only_hanoverd_starts_a_line() -> None:
    event = logged("web: git failed: {error}", LogLevel.error, error="no\r\nweb-1: live\r\n<3>web: stopped")
    for shown in (for_terminal(event, colour=True), for_file(event), without_time(event), for_syslog(event)):
        first, *others = shown.split("\n")
        assert first.endswith("web: git failed: no")
        assert [line.startswith("    ") for line in others] == [True, True]
    assert for_journal(event) == "<3>web: git failed: no\n<3>    web-1: live\n<3>    <3>web: stopped"


def test_colours_of_the_app_are_for_a_terminal_and_end_with_the_line() -> None:
    event = logged("{version}  | {line}", event="output", version="web-3", line="\033[32mweb-3\033[0m \033[1mlistens")
    assert for_terminal(event, colour=True).endswith("  | \033[32mweb-3\033[0m \033[1mlistens\033[0m")
    assert for_terminal(event, colour=False) == "14:03:21 web-3  | web-3 listens"
    assert for_journal(event) == "<6>web-3  | web-3 listens"
    assert json.loads(as_json(event))["line"] == "\033[32mweb-3\033[0m \033[1mlistens"


@pytest.mark.parametrize("char", ["x", "\0", "\udc80", "€", "😀", "\u202e"])
def test_no_line_is_so_long_that_the_journal_splits_it(char: str) -> None:
    line = f"{char * (16 * 1024 - 30)}<3>web: stopped"
    for event in (
        logged("{version}  | {line}", event="output", version="web-3", line=line),
        logged(
            "{version}: {reason} while it was live{output}", event="exited", reason=line, output=line, version="w-3"
        ),
    ):
        for shown in (for_journal(event), for_syslog(event)):
            first, *others = shown.split("\n")
            assert all(len(part.encode()) < 48 * 1024 for part in (first, *others))
            assert all(part.removeprefix("<6>").startswith("    ") for part in others)
        assert len(as_journal_json(event)) < 48 * 1024
        assert json.loads(as_journal_json(event))["event"] == event["event"]
    assert as_journal_json(ready()) == as_json(ready())


def test_a_long_message_is_cut() -> None:
    event = logged("{version}: failed: {error}", event="failed", version="web-3", error=ValueError("x" * 1_000_000))
    assert max(len(shown) for shown in (for_file(event), for_journal(event))) < 2 * LONGEST_TEXT
    found = json.loads(as_json(event))
    assert found["error"] == "x" * LONGEST_TEXT + "…"
    assert len(found["message"]) == LONGEST_TEXT + 1


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
