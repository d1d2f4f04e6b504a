"""Which files ``.dockerignore`` excludes from a build context, by the rules of Docker's client.

The lines are patterns of Go's ``filepath.Match``, with ``**`` for any number of folders and ``!`` for exceptions. The
last pattern that matches a path decides, and a pattern that excludes a folder excludes its contents
(https://docs.docker.com/build/concepts/context/#dockerignore-files).
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hanoverd.docker.globs import Globs, Token, tokens

#: How many patterns a file may have, and how long one may be, in characters (no path is longer: PATH_MAX).
MOST_PATTERNS, LONGEST_PATTERN = 10_000, 4096

_BYTE_ORDER_MARK = "\ufeff"

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Pattern:
    """A pattern: ``text`` without the ``!`` of an exception."""

    text: str
    is_exception: bool
    tokens: Sequence[Token]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a path.

    ``matched`` has the ends of the patterns that matched it: those match its contents, too. ``inside`` is the state of the
    patterns for its contents.
    """

    is_ignored: bool
    matched: frozenset[int]
    inside: int


class Ignored:
    """The patterns of one ``.dockerignore``."""

    def __init__(self, patterns: Sequence[Pattern] = ()) -> None:
        self._globs = Globs([pattern.tokens for pattern in patterns])
        exceptions = [
            (end, pattern) for end, pattern in zip(self._globs.ends, patterns, strict=True) if pattern.is_exception
        ]
        self._exceptions = frozenset(end for end, _ in exceptions)
        self._exception_texts = sorted(f"{pattern.text}/" for _, pattern in exceptions)
        #: The verdict on the context itself, the parent of all others.
        self.top = Verdict(is_ignored=False, matched=_NONE, inside=self._globs.start)

    @classmethod
    def read(cls, text: str, needed: Iterable[str] = ()) -> Ignored:
        """Read the text of the file. ``needed`` files are never excluded.

        Raises ValueError, with the number of the line but without its text, for an invalid pattern.
        """
        patterns = [*_patterns(text)]
        ignored = cls(patterns)
        lost = [name for name in needed if ignored.verdict(name).is_ignored]
        return cls([*patterns, *(Pattern(name, is_exception=True, tokens=name) for name in lost)])

    def verdict(self, path: str) -> Verdict:
        """Return the verdict on ``path``, relative to the context."""
        verdict = self.top
        for name in path.split("/"):
            verdict = self.verdict_inside(verdict, name)
        return verdict

    def verdict_inside(self, folder: Verdict, name: str) -> Verdict:
        """Return the verdict on the file ``name`` in the folder that has the verdict ``folder``."""
        state = self._globs.after(folder.inside, name)
        is_ignored, matched = False, _NONE
        if ends := {*folder.matched, *self._globs.ended(state)}:
            matching = []
            for end in sorted(ends):
                is_exception = end in self._exceptions
                # As in Docker's client, only a pattern that can change the decision counts as matched.
                if end in folder.matched or is_exception == is_ignored:
                    is_ignored = not is_exception
                    matching.append(end)
            matched = frozenset(matching)
        return Verdict(is_ignored, matched, self._globs.after(state, "/"))

    def may_hold_exceptions(self, folder: str) -> bool:
        """Return whether an excluded folder may contain files that an exception includes again.

        Like Docker's client, it compares the first part of the exceptions, without expanding wildcards.
        """
        first = bisect_left(self._exception_texts, f"{folder}/")
        return any(text.startswith(f"{folder}/") for text in self._exception_texts[first : first + 1])


def _patterns(text: str) -> Iterable[Pattern]:
    count = 0
    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).split("\n"), 1):
        # An indented "#" does not start a comment.
        if line.startswith("#") or not line.strip():
            continue
        count += 1
        try:
            if count > MOST_PATTERNS:
                raise ValueError(f"there are more than {MOST_PATTERNS} patterns")
            pattern = _pattern(line.strip())
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if pattern is not None:
            yield pattern


def _pattern(line: str) -> Pattern | None:
    """Return the pattern of a line; None if it can match nothing."""
    is_exception = line.startswith("!")
    written = line[1:].strip() if is_exception else line
    if not written:
        raise ValueError('"!" needs a pattern after it')
    if len(written) > LONGEST_PATTERN:
        raise ValueError(f"the pattern is longer than {LONGEST_PATTERN} characters")
    text = _clean(written)
    if text == "." or "\0" in text:
        # Docker's client ignores ".": the context itself is never excluded. No path has a NUL.
        return None
    try:
        return Pattern(text, is_exception, tokens(text))
    except ValueError as error:
        raise ValueError(f"the pattern is not valid: {error}") from None


def _clean(pattern: str) -> str:
    """Return the pattern as Go's ``filepath.Clean`` does, without the slash at the start."""
    # Some versions of Python's normpath end at a NUL.
    cleaned = pattern if "\0" in pattern else posixpath.normpath(pattern)
    # Python keeps two slashes at the start, because POSIX allows them a special meaning.
    return cleaned.lstrip("/") or "."
