"""Splits a stream of bytes into lines."""

from __future__ import annotations

#: The longest line, in bytes; Docker's json-file driver splits longer ones too (``defaultBufSize`` in moby's copier.go).
LONGEST_LINE = 16 * 1024


class LineCutter:
    """Takes output in pieces of any size, and returns its lines.

    A line that is longer than ``LONGEST_LINE`` is returned in parts, so that output without newlines needs little memory
    and time.
    """

    def __init__(self) -> None:
        self._begun = bytearray()

    def take(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes, without their newlines."""
        self._begun += data
        *complete, self._begun = self._begun.split(b"\n")
        lines = [part for line in complete for part in _parts(line)]
        if len(self._begun) > LONGEST_LINE:
            # The last part waits for its newline: it can be a whole line.
            *parts, last = _parts(self._begun)
            lines += parts
            self._begun = bytearray(last)
        return lines

    def rest(self) -> list[bytes]:
        """Return what follows the last newline, if anything; call it when the output has ended."""
        line, self._begun = bytes(self._begun), bytearray()
        return [line] if line else []


def _parts(line: bytearray) -> list[bytes]:
    parts = []
    begin = 0
    while len(line) - begin > LONGEST_LINE:
        end = begin + LONGEST_LINE
        # Not inside a character: in UTF-8 it has at most three continuation bytes.
        for _ in range(3):
            if line[end] & 0xC0 != 0x80:  # 10xxxxxx
                break
            end -= 1
        parts.append(bytes(line[begin:end]))
        begin = end
    return [*parts, bytes(line[begin:])]
