"""An answer that is a stream of lines, for a client that may read slowly, or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.web.server import Request

#: How much may wait for a client that does not read, in bytes; what is logged meanwhile is left out.
MOST_WAITING = 1024 * 1024


class LineStream:
    """Sends lines as fast as the client reads them, and leaves lines out for one that is too slow.

    ``left_out`` returns the line that says how many were left out.  ``first`` are the first lines: it is asked for each when the
    client has read those before it.
    """

    def __init__(self, request: Request, left_out: Callable[[int], str], first: Iterable[str] = ()) -> None:
        self._request = request
        self._first = iter(first)
        self._ends = False
        self._line_for_left_out = left_out
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._is_full = False
        request.registerProducer(self, True)  # noqa: FBT003  # Twisted's: it pushes
        # The head of the answer, at once: the first line may come much later.
        request.write(b"")
        self._write()

    def send(self, line: str, *, is_last: bool = False) -> None:
        """Send a line; the last one is never left out."""
        raw = f"{line}\n".encode(errors="replace")
        if not is_last and (self._left_out or self._size + len(raw) > MOST_WAITING):
            self._left_out += 1
            return
        if is_last:
            self._note_left_out()
        self._append(raw)
        self._write()

    def pauseProducing(self) -> None:
        """Hold lines back: the connection is full."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """Send what was held back, until the connection is full again."""
        self._is_full = False
        # All that waits is older than what was left out.
        self._note_left_out()
        self._write()

    def stopProducing(self) -> None:
        """The connection has ended."""
        self._is_full = True

    def finish(self) -> None:
        """Send what was held back, whether the connection is full or not: the answer ends."""
        self._is_full = False
        while self._waiting:
            self._request.write(self._waiting.popleft())

    def finish_when_sent(self) -> None:
        """End the answer when the client has read all lines."""
        self._ends = True
        self._write()

    def _note_left_out(self) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._append(f"{self._line_for_left_out(count)}\n".encode())

    def _append(self, raw: bytes) -> None:
        self._waiting.append(raw)
        self._size += len(raw)

    def _write(self) -> None:
        while not self._is_full and (line := next(self._first, None)) is not None:
            self._request.write(f"{line}\n".encode(errors="replace"))
        while self._waiting and not self._is_full:
            raw = self._waiting.popleft()
            self._size -= len(raw)
            self._request.write(raw)
        if self._ends and not self._is_full:
            self._ends = False
            self._request.unregisterProducer()
            self._request.finish()
