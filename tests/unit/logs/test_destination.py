"""Where the log goes."""

from __future__ import annotations

import syslog

import pytest
from twisted.logger import Logger, LogLevel, capturedLogs

from hanoverd.logs.destination import Syslog
from hanoverd.logs.formats import for_syslog


def test_syslog_gets_each_line_with_its_level_and_no_control_character(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda _: None)
    monkeypatch.setattr(syslog, "syslog", lambda priority, line: written.append((priority, line)))
    with capturedLogs() as events:
        Logger("hanoverd.test").emit(LogLevel.error, "web: {error}", error="no\0\u2028\nwhy")
    Syslog("", for_syslog)(events[0])
    assert written == [(3, "web: no\\x00\\u2028"), (3, "    why")]
