"""Which files ``.dockerignore`` excludes from a build context, by the rules of Docker's client.

The lines are patterns of Go's ``filepath.Match``, with ``**`` for any number of folders and ``!`` for exceptions. The
last pattern that matches a path decides, and a pattern that excludes a folder excludes its contents
(https://docs.docker.com/build/concepts/context/#dockerignore-files).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_BYTE_ORDER_MARK = "\ufeff"

#: With one of these, Docker's client uses a regular expression; without, it compares the end of the path.
_SPECIAL = set("*?[]\\")


@dataclass(frozen=True)
class Pattern:
    """A pattern: ``text`` without the ``!`` of an exception."""

    text: str
    is_exception: bool
    expression: re.Pattern[str] = field(compare=False)

    def matches(self, path: str) -> bool:
        """Return whether it matches ``path``, relative to the context."""
        return self.expression.fullmatch(path) is not None


@dataclass(frozen=True)
class Verdict:
    """The decision on a path, and which patterns matched it: those match its contents, too."""

    is_ignored: bool
    matched: tuple[bool, ...]


class Ignored:
    """The patterns of one ``.dockerignore``."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        #: The verdict on the context itself, the parent of all others.
        self.top = Verdict(is_ignored=False, matched=(False,) * len(patterns))

    @classmethod
    def read(cls, text: str, needed: Iterable[str] = ()) -> Ignored:
        """Read the text of the file. ``needed`` files are never excluded.

        Raises ValueError, with the number of the line, for an invalid pattern.
        """
        patterns = [*_patterns(text)]
        ignored = cls(patterns)
        lost = [name for name in needed if ignored.verdict(name).is_ignored]
        kept = [Pattern(name, is_exception=True, expression=re.compile(re.escape(name))) for name in lost]
        return cls([*patterns, *kept])

    def verdict(self, path: str, parent: Verdict | None = None) -> Verdict:
        """Return the verdict on ``path``, relative to the context; ``parent`` is the verdict on its folder."""
        if parent is None:
            folder = posixpath.dirname(path)
            parent = self.verdict(folder) if folder else self.top
        is_ignored = False
        matched = []
        for pattern, of_parent in zip(self._patterns, parent.matched, strict=True):
            match = of_parent
            # Only a pattern that can change the decision needs to be checked.
            if not match and pattern.is_exception == is_ignored:
                match = pattern.matches(path)
            if match:
                is_ignored = not pattern.is_exception
            matched.append(match)
        return Verdict(is_ignored, tuple(matched))

    def may_hold_exceptions(self, folder: str) -> bool:
        """Return whether an excluded folder may contain files that an exception includes again.

        Like Docker's client, it compares the first part of the exceptions, without expanding wildcards.
        """
        return any(pattern.is_exception and f"{pattern.text}/".startswith(f"{folder}/") for pattern in self._patterns)


def _patterns(text: str) -> Iterable[Pattern]:
    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).splitlines(), 1):
        # An indented "#" does not start a comment.
        if line.startswith("#") or not line.strip():
            continue
        written = line.strip()
        is_exception = written.startswith("!")
        pattern = written[1:].strip() if is_exception else written
        if not pattern:
            raise ValueError(f'line {number}: "!" needs a pattern after it')
        pattern = _clean(pattern)
        if pattern == ".":
            # Docker's client ignores it: the context itself is never excluded.
            continue
        try:
            expression = re.compile(_translated(pattern), re.DOTALL)
        except re.error as error:
            raise ValueError(f"line {number}: {written!r} is not a valid pattern: {error}") from None
        yield Pattern(pattern, is_exception, expression)


def _clean(pattern: str) -> str:
    """Return the pattern as Go's ``filepath.Clean`` does, without the slash at the start."""
    cleaned = posixpath.normpath(pattern)
    # Python keeps two slashes at the start, because POSIX allows them a special meaning.
    return cleaned.lstrip("/") or "."


def _translated(pattern: str) -> str:
    """Return the regular expression for a pattern."""
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
                # At the start of a pattern without other wildcards, it may match a part of a name: "**.pyc".
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
    """Return the regular expression for a character class, ``[^a-z]``, and the position after it."""
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
    """Return one character of a class, without its backslash, and the position after it."""
    if pattern[position] == "\\" and position + 1 < len(pattern):
        position += 1
    return pattern[position], position + 1
