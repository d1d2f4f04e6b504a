"""One line of comma-separated fields, as Docker's command line reads them (Go's ``encoding/csv``).

Python's own reader accepts a quote in the middle of a field, also if it is strict, and has other error messages.
"""

from __future__ import annotations

_BARE_QUOTE = 'bare " in non-quoted-field'
_QUOTE = 'extraneous or missing " in quoted-field'


def comma_fields(text: str) -> list[str]:
    """Return the fields of the first line of ``text`` that is not empty; quoted fields can have commas and line ends.

    ValueError, in Go's words; ``EOF`` if there is no such line.
    """
    lines = text.replace("\r\n", "\n").removesuffix("\r").split("\n")
    start = next((number for number, line in enumerate(lines) if line), None)
    if start is None:
        raise ValueError("EOF")
    # What follows the line matters only to a quoted field.
    return _Record("\n".join(lines[start:]), start + 1).fields()


class _Record:
    """A record that is being read."""

    def __init__(self, text: str, line: int) -> None:
        self._text = text
        self._first_line = line
        self._at = 0

    def fields(self) -> list[str]:
        found = []
        while True:
            found.append(self._quoted() if self._text.startswith('"', self._at) else self._plain())
            if not self._text.startswith(",", self._at):
                return found
            self._at += 1

    def _plain(self) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in ",\n":
            self._at += 1
        field = self._text[start : self._at]
        if '"' in field:
            raise self._error(start + field.index('"'), _BARE_QUOTE)
        return field

    def _quoted(self) -> str:
        field = ""
        self._at += 1
        while True:
            end = self._text.find('"', self._at)
            if end < 0:
                raise self._error(len(self._text), _QUOTE)
            field += self._text[self._at : end]
            self._at = end + 1
            following = self._text[self._at : self._at + 1]
            if following != '"':
                break
            field += '"'
            self._at += 1
        if following not in ("", ",", "\n"):
            raise self._error(end, _QUOTE)
        return field

    def _error(self, where: int, reason: str) -> ValueError:
        """Return an error for a place: Go reports its line, and its column in bytes."""
        before = self._text[:where]
        line = self._first_line + before.count("\n")
        column = len(before.rpartition("\n")[2].encode("utf-8", "surrogateescape")) + 1
        record = f"record on line {self._first_line}; " if line != self._first_line else ""
        return ValueError(f"{record}parse error on line {line}, column {column}: {reason}")
