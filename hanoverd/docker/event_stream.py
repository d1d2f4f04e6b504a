"""The event stream of a build, pull, push or load (Docker Engine API): its lines of output, and its error."""

from __future__ import annotations

from collections.abc import Callable

from hanoverd.docker.api import Event


class EventStream:
    """Passes the lines of a stream on to ``on_line``, and keeps the error that the stream reports."""

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self._on_line = on_line
        self.error: str | None = None

    def take(self, event: Event) -> None:
        """Process one event."""
        if "error" in event:
            self.error = str(event["error"]).strip()
        else:
            for line in output_lines(event):
                self._on_line(line)


def output_lines(event: Event) -> list[str]:
    """Return the lines that Docker's client prints for an event: the output of a build, or the progress of a layer."""
    if event.get("stream"):
        return [line for line in str(event["stream"]).splitlines() if line.strip()]
    parts = ": ".join(str(event[key]) for key in ("id", "status") if event.get(key))
    line = f"{parts} {event.get('progress') or ''}".strip()
    return [line] if line else []
