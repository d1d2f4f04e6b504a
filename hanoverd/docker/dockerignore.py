"""What ``.dockerignore`` leaves out of a build context, by the rules of Docker's own client.

The file's lines are patterns of Go's ``filepath.Match``, with ``**`` for any number of folders and ``!`` for
exceptions; the last pattern that matches decides, and what leaves out a folder leaves out what is below it
(https://docs.docker.com/build/concepts/context/#dockerignore-files).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_BYTE_ORDER_MARK = "\ufeff"

#: What makes Docker's client match by a regular expression rather than by a plain end.
_SPECIAL = set("*?[]\\")


@dataclass(frozen=True)
class Pattern:
    """One pattern: ``text`` without its ``!``, and whether it had one."""

    text: str
    is_exception: bool
    expression: re.Pattern[str] = field(compare=False)

    def matches(self, path: str) -> bool:
        """Whether it matches this very path, relative to the context."""
        return self.expression.fullmatch(path) is not None


@dataclass(frozen=True)
class Verdict:
    """What all patterns say of one path, which decides on what is below it as well."""

    is_ignored: bool
    matched: tuple[bool, ...]


class Ignored:
    """The patterns of one ``.dockerignore``."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        #: The verdict on the context itself, from which those on what is in it follow.
        self.top = Verdict(is_ignored=False, matched=(False,) * len(patterns))

    @classmethod
    def read(cls, text: str, needed: Iterable[str] = ()) -> Ignored:
        """Read the file's text; ``needed`` files belong to the context whatever it says.

        ValueError, with the line, for what is no pattern.
        """
        patterns = [*_patterns(text)]
        ignored = cls(patterns)
        lost = [name for name in needed if ignored.verdict(name).is_ignored]
        kept = [Pattern(name, is_exception=True, expression=re.compile(re.escape(name))) for name in lost]
        return cls([*patterns, *kept])

    def verdict(self, path: str, parent: Verdict | None = None) -> Verdict:
        """What to do with ``path``, relative to the context, ``parent`` being the verdict on its folder."""
        if parent is None:
            folder = posixpath.dirname(path)
            parent = self.verdict(folder) if folder else self.top
        is_ignored = False
        matched = []
        for pattern, of_parent in zip(self._patterns, parent.matched, strict=True):
            match = of_parent
            # Only a pattern that would change the verdict is worth looking at.
            if not match and pattern.is_exception == is_ignored:
                match = pattern.matches(path)
            if match:
                is_ignored = not pattern.is_exception
            matched.append(match)
        return Verdict(is_ignored, tuple(matched))

    def may_hold_exceptions(self, folder: str) -> bool:
        """Whether a folder that is left out must be looked into all the same.

        As Docker's client decides it: by the beginning of the exceptions, wildcards unread.
        """
        return any(pattern.is_exception and f"{pattern.text}/".startswith(f"{folder}/") for pattern in self._patterns)


def _patterns(text: str) -> Iterable[Pattern]:
    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).splitlines(), 1):
        # A "#" that is indented is none.
        if line.startswith("#") or not line.strip():
            continue
        written = line.strip()
        is_exception = written.startswith("!")
        pattern = written[1:].strip() if is_exception else written
        if not pattern:
            raise ValueError(f'line {number}: a "!" alone: write what it excepts after it')
        pattern = _clean(pattern)
        if pattern == ".":
            # Docker's client takes it for nothing at all: it never leaves out the context itself.
            continue
        try:
            expression = re.compile(_translated(pattern), re.DOTALL)
        except re.error as error:
            raise ValueError(f"line {number}: {written!r} is no pattern: {error}") from None
        yield Pattern(pattern, is_exception, expression)


def _clean(pattern: str) -> str:
    """As Go's ``filepath.Clean``, and without the slash at the beginning."""
    cleaned = posixpath.normpath(pattern)
    # Python keeps two slashes at the beginning, for POSIX allows them a meaning.
    return cleaned.lstrip("/") or "."


def _translated(pattern: str) -> str:
    """The pattern as a regular expression."""
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
                # At the beginning of what is else plain, it may end within a name: "**.pyc".
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
    """A class of characters, ``[^a-z]``, from behind its bracket on."""
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
