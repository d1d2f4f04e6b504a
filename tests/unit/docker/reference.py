"""Patterns of ``.dockerignore`` as regular expressions: slow for some, but close to how Docker's client does it."""

from __future__ import annotations

import re

_SPECIAL = set("*?[]\\")


def expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for a clean pattern; ``re.error`` if it is invalid."""
    return re.compile(_translated(pattern), re.DOTALL)


def _translated(pattern: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern[position : position + 1] == "*":
            position += 1
            if pattern[position : position + 1] == "/":
                position += 1
                parts.append("(?:.*/)?" if position < len(pattern) else ".*")
            elif position == len(pattern) or (not parts and not set(pattern[position:]) & _SPECIAL):
                parts.append(".*")
            else:
                parts.append("(?:.*/)?")
        elif char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "\\" and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        elif char == "[":
            klass, position = _class(pattern, position)
            parts.append(klass)
        else:
            parts.append(re.escape(char))
    return "".join(parts)


def _class(pattern: str, position: int) -> tuple[str, int]:
    negated = pattern[position : position + 1] == "^"
    end = position + negated
    chars = ""
    while pattern[end : end + 1] not in ("]", ""):
        low, end = _class_member(pattern, end)
        chars += re.escape(low)
        if pattern[end : end + 1] == "-" and pattern[end + 1 : end + 2] not in ("]", ""):
            high, end = _class_member(pattern, end + 1)
            chars += f"-{re.escape(high)}"
    if end >= len(pattern) or not chars:
        raise re.error("the [ has no ]" if end >= len(pattern) else "the [] is empty")
    return f"[{'^' if negated else ''}{chars}]", end + 1


def _class_member(pattern: str, position: int) -> tuple[str, int]:
    if pattern[position] == "\\" and position + 1 < len(pattern):
        position += 1
    return pattern[position], position + 1


class Reference:
    """The patterns of one file, given as ``(text, is_exception)``, decided as Docker's client does it."""

    def __init__(self, patterns: list[tuple[str, bool]]) -> None:
        self._patterns = [(expression(text), is_exception) for text, is_exception in patterns]

    def is_ignored(self, path: str) -> bool:
        """Whether ``path`` is excluded."""
        return self._verdict(path)[0]

    def _verdict(self, path: str) -> tuple[bool, list[bool]]:
        folder = path.rpartition("/")[0]
        above = self._verdict(folder)[1] if folder else [False] * len(self._patterns)
        is_ignored, matched = False, []
        for (found, is_exception), of_folder in zip(self._patterns, above, strict=True):
            match = of_folder
            if not match and is_exception == is_ignored:
                match = found.fullmatch(path) is not None
            if match:
                is_ignored = not is_exception
            matched.append(match)
        return is_ignored, matched
