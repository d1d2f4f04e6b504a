"""Matches the patterns of ``.dockerignore`` with paths, all patterns at the same time and in linear time.

A regular expression that backtracks needs exponential time for some patterns, and holds the interpreter's lock meanwhile.
This is an automaton instead. Its state is the set of the places in all patterns where a path can be, as the bits of one
integer; each character of the path takes a few operations on that integer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

#: With one of these, Docker's client uses a regular expression; without, it compares the end of the path.
_SPECIAL = set("*?[]\\")

#: The memory for the bits of the characters that were seen, in bytes.
_CACHE_SIZE = 16 * 1024 * 1024


class Wild(Enum):
    """What takes any number of characters: as a regular expression, ``[^/]*``, ``.*`` and ``(?:.*/)?``."""

    NAME = "*"
    PATH = "**"
    FOLDERS = "**/"


@dataclass(frozen=True)
class OneOf:
    """One character of the ranges, or if ``is_negated``, one that is in none of them."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False

    def has(self, char: str) -> bool:
        """Return whether it takes ``char``."""
        return any(low <= char <= high for low, high in self.ranges) != self.is_negated


#: ``?``: one character of a name.
ANY = OneOf((("/", "/"),), is_negated=True)

#: A part of a pattern; a text of one character stands for itself.
Token = str | Wild | OneOf


def tokens(pattern: str) -> list[Token]:
    """Return the parts of a pattern, without parts that add nothing; ValueError if it is invalid."""
    found: list[Token] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern[position : position + 1] == "*":
            wild, position = _stars(pattern, position + 1)
            _add_wild(found, wild)
        elif char == "*":
            _add_wild(found, Wild.NAME)
        elif char == "?":
            found.append(ANY)
        elif char == "\\" and position < len(pattern):
            found.append(pattern[position])
            position += 1
        elif char == "[":
            klass, position = _class(pattern, position)
            found.append(klass)
        else:
            found.append(char)
    return found


def _stars(pattern: str, position: int) -> tuple[Wild, int]:
    """Return the meaning of the ``**`` before ``position``, and the position after it."""
    if pattern[position : position + 1] == "/":
        return (Wild.FOLDERS if position + 1 < len(pattern) else Wild.PATH), position + 1
    is_first = position == len("**")
    if position == len(pattern) or (is_first and not set(pattern[position:]) & _SPECIAL):
        # At the start of a pattern without other wildcards, it may match a part of a name: "**.pyc".
        return Wild.PATH, position
    return Wild.FOLDERS, position


def _add_wild(found: list[Token], wild: Wild) -> None:
    """Add ``wild``, so that two never follow each other, except ``*`` and ``**/``."""
    before = found[-1] if found else None
    if not isinstance(before, Wild) or (before, wild) == (Wild.NAME, Wild.FOLDERS):
        found.append(wild)
    elif before is not wild:
        # All other pairs match any text: "**/*", "**" before or after anything.
        found[-1] = Wild.PATH
        if len(found) > 1 and isinstance(found[-2], Wild):
            del found[-2]


def _class(pattern: str, position: int) -> tuple[OneOf, int]:
    """Return the character class that starts after the ``[`` before ``position``, and the position after it."""
    is_negated = pattern[position : position + 1] == "^"
    end = position + is_negated
    ranges = []
    while pattern[end : end + 1] not in ("]", ""):
        low, end = _class_member(pattern, end)
        high = low
        if pattern[end : end + 1] == "-" and pattern[end + 1 : end + 2] not in ("]", ""):
            high, end = _class_member(pattern, end + 1)
        if high < low:
            raise ValueError("the range of a [] ends before it starts")
        ranges.append((low, high))
    if end >= len(pattern) or not ranges:
        raise ValueError("the [ has no ]" if end >= len(pattern) else "the [] is empty")
    return OneOf(tuple(ranges), is_negated), end + 1


def _class_member(pattern: str, position: int) -> tuple[str, int]:
    """Return one character of a class, without its backslash, and the position after it."""
    if pattern[position] == "\\" and position + 1 < len(pattern):
        position += 1
    return pattern[position], position + 1


class Globs:
    """The automaton for some patterns.

    ``start`` is the state before a path. ``ends`` has the place of each pattern that a path is in if the pattern matches it,
    in the order of the patterns.
    """

    def __init__(self, patterns: Sequence[Iterable[Token]]) -> None:
        self.ends: list[int] = []
        self._literals: dict[str, list[int]] = {}
        self._classes: list[tuple[int, OneOf]] = []
        starts: list[int] = []
        wilds: dict[Wild, list[int]] = {wild: [] for wild in Wild}
        place = 0
        for pattern in patterns:
            starts.append(place)
            for token in pattern:
                if isinstance(token, Wild):
                    wilds[token].append(place)
                    # Folders need a place to be taken in, and one to go on from when there are none.
                    place += token is Wild.FOLDERS
                elif isinstance(token, str):
                    self._literals.setdefault(token, []).append(place)
                else:
                    self._classes.append((place, token))
                place += 1
            self.ends.append(place)
            place += 1
        self._size = place
        name, path, folders = (self._bits(wilds[wild]) for wild in (Wild.NAME, Wild.PATH, Wild.FOLDERS))
        self._skips, self._folders = name | path, folders
        self._loops_at_slash = path | folders << 1
        self._loops = self._loops_at_slash | name
        self._after_folders = folders << 1
        self._all_ends = self._bits(self.ends)
        self._seen: dict[str, int] = {}
        self._most_seen = max(64, _CACHE_SIZE // (place // 8 + 1))
        self.start = self._settled(self._bits(starts))

    def after(self, state: int, text: str) -> int:
        """Return the state after ``text``, from ``state``."""
        for char in text:
            if not state:
                break
            loops = self._loops_at_slash if char == "/" else self._loops
            takes = self._seen.get(char)
            if takes is None:
                takes = self._takes(char)
            state = self._settled((state & takes) << 1 | state & loops)
        return state

    def ended(self, state: int) -> Iterable[int]:
        """Return the ``ends`` of the patterns that match the path to ``state``."""
        matching = state & self._all_ends
        return _places(matching) if matching else ()

    def _settled(self, state: int) -> int:
        """Return the state with the places that need no character."""
        state |= (state & self._skips) << 1
        folders = state & self._folders
        return state | folders << 1 | folders << 2 if folders else state

    def _takes(self, char: str) -> int:
        """Return the places that ``char`` leaves for the next one."""
        places = self._literals.get(char, [])
        takes = self._bits([*places, *(place for place, klass in self._classes if klass.has(char))])
        if char == "/":
            takes |= self._after_folders
        if len(self._seen) >= self._most_seen:
            self._seen.clear()
        self._seen[char] = takes
        return takes

    def _bits(self, places: Iterable[int]) -> int:
        """Return an integer with these bits, in linear time."""
        found = bytearray(self._size // 8 + 1)
        for place in places:
            found[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(found, "little")


def _places(bits: int) -> Iterable[int]:
    """Yield the places of the bits that are set, in linear time."""
    digits = f"{bits:b}"[::-1]
    place = digits.find("1")
    while place >= 0:
        yield place
        place = digits.find("1", place + 1)
