"""The event stream of a build, pull, push or load (Docker Engine API): its lines of output, and its error."""

from __future__ import annotations

from collections.abc import Callable

from hanoverd.docker.api import Event
from hanoverd.text.escapes import escaped_line
from hanoverd.text.lines import LONGEST_LINE, LineCutter, shortened, text_of


class EventStream:
    """Passes the lines of a stream on to ``on_line``, as Docker's client prints them, and keeps the error that it reports.

    Lines are the output of a build, and the progress of layers. Empty lines are left out.
    """

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self._on_line = on_line
        self._output = LineCutter()
        self.error: str | None = None

    def take(self, event: Event) -> None:
        """Process one event."""
        if event.get("stream"):
            # A build prints its lines in pieces; a progress bar ends its lines by a carriage return alone.
            data = str(event["stream"]).replace("\r", "\n").encode(errors="replace")
            self._pass_on(self._output.take(data))
            return
        self.finish()
        error = error_of(event)
        if error is not None:
            self.error = error_text(error)
        else:
            self._pass_on(LineCutter().take(f"{_progress(event)}\n".encode(errors="replace")))

    def finish(self) -> None:
        """Pass on the last line, which has no newline: the stream has ended. Idempotent."""
        self._pass_on(self._output.rest())

    def _pass_on(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.strip():
                self._on_line(text_of(line))


def error_of(event: Event) -> str | None:
    """Return the error that an event reports; None if it reports none."""
    detail = event.get("errorDetail")
    # "error" is deprecated since version 1.48 of the API.
    error = event.get("error") or (detail.get("message") if isinstance(detail, dict) else None)
    return None if error is None else str(error)


def error_text(text: str) -> str:
    """Return an error of the engine for a message: it may contain any text of a registry or a build."""
    return escaped_line(shortened(text.strip(), LONGEST_LINE))


def _progress(event: Event) -> str:
    parts = ": ".join(str(event[key]) for key in ("id", "status") if event.get(key))
    return f"{parts} {event.get('progress') or ''}".strip()
