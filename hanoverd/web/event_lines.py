"""Reads a stream of server-sent events (HTML Standard, section 9.2) as it comes, in parts of any size.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

#: The longest line that is kept, in bytes; of a longer one, the rest is left out.
LONGEST_LINE = 64 * 1024


class Lines:
    """Splits what comes into lines, without their newlines; of a line that is too long, only the first part is returned."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._begun = b""

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that ``data`` completes."""
        first, newline, rest = data.partition(b"\n")
        self._begun += first[: self._longest - len(self._begun)]
        if not newline:
            return
        *lines, begun = rest.split(b"\n")
        yield self._begun
        for line in lines:
            yield line[: self._longest]
        self._begun = begun[: self._longest]


class EventLines:
    """The events of a stream by their types; their data is not read.  ``last_id`` is where the stream can be resumed."""

    def __init__(self) -> None:
        self.last_id = ""
        self._lines = Lines()
        self._kind = ""

    def take(self, data: bytes) -> list[str]:
        """Return the types of the events that ``data`` completes; "" stands for a first ID, which comes without an event."""
        found = []
        for line in self._lines.take(data):
            name, _, value = line.partition(b": ")
            if name == b"id":
                self.last_id = value.decode("ascii", "replace")
            elif name == b"event":
                self._kind = value.decode("utf-8", "replace")
            elif not line and self.last_id:
                found.append(self._kind)
                self._kind = ""
        return found
