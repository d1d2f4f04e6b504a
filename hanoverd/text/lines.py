"""Splits output into lines, and keeps its last lines; however long a line is, this needs little memory and time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

#: The longest line, in bytes; Docker's json-file driver splits longer ones too (``defaultBufSize`` in moby's copier.go).
LONGEST_LINE = 16 * 1024

#: How many of its last lines a message about a program has, and how much of each, in characters.
TAIL, TAIL_WIDTH = 20, 1000


class LineCutter:
    """Takes output in pieces of any size, and returns its lines.

    A line ends at a newline only. One that is longer than ``LONGEST_LINE`` is returned in parts. The time is linear in the size
    of the output, and no more than ``LONGEST_LINE`` bytes wait for their newline.
    """

    def __init__(self) -> None:
        self._begun = bytearray()

    def take(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes, without their newlines."""
        end = data.rfind(b"\n")
        lines: list[bytes] = []
        if end >= 0:
            for line in (self._begun + data[:end]).split(b"\n"):
                lines += parts_of(line)
            self._begun.clear()
        self._begun += data[end + 1 :]
        if len(self._begun) > LONGEST_LINE:
            # The last part waits for its newline: it can be a whole line.
            *parts, last = parts_of(self._begun)
            lines += parts
            self._begun = bytearray(last)
        return lines

    def rest(self) -> list[bytes]:
        """Return what follows the last newline, if anything; call it when the output has ended."""
        line, self._begun = bytes(self._begun), bytearray()
        return [line] if line else []


class Tail:
    """The last ``TAIL`` lines of an output, for a message; long ones are cut after ``TAIL_WIDTH`` characters."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=TAIL)

    def add(self, line: str) -> None:
        """Add a line."""
        self._lines.append(shortened(line, TAIL_WIDTH))

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self._lines)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the lines, the oldest first."""
        return iter(self._lines)

    def __str__(self) -> str:
        """Return the lines as a message has them: each on a line of its own, indented."""
        return "".join(f"\n    {line}" for line in self._lines)


def shortened(text: str, most: int) -> str:
    """Return ``text``, cut after ``most`` characters."""
    return text if len(text) <= most else f"{text[:most]}…"


def text_of(line: bytes) -> str:
    """Return a line as text, without the carriage return at its end; bytes that are not UTF-8 are replaced."""
    return line.rstrip(b"\r").decode(errors="replace")


def parts_of(line: bytes | bytearray, longest: int = LONGEST_LINE) -> list[bytes]:
    """Return a line in parts of at most ``longest`` bytes; text in UTF-8 is not cut inside a character."""
    parts = []
    begin = 0
    while len(line) - begin > longest:
        end = begin + longest
        # A character has at most three continuation bytes.
        for _ in range(3):
            if line[end] & 0xC0 != 0x80:  # 10xxxxxx
                break
            end -= 1
        parts.append(bytes(line[begin:end]))
        begin = end
    return [*parts, bytes(line[begin:])]
