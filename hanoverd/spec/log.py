"""The format of a program's log."""

from __future__ import annotations

#: Lines for people, or one JSON object a line.
LOG_FORMATS = TEXT, JSON = ("text", "json")
