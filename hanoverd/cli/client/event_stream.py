"""``hanoverd events``, ``status --watch`` and ``deploy --wait``: what is read from the stream of events of a running daemon."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

from hanoverd.cli.client.checked import checked, status_of
from hanoverd.cli.client.tables import status_text
from hanoverd.daemons.answers import event_of, handovers_of, part_of
from hanoverd.daemons.connection import Daemon
from hanoverd.logs.events import ENDED, HOOK_OUTPUT, MISSED, OUTPUT, STOPPING
from hanoverd.runtime.errors import ControlError
from hanoverd.spec.programs import RemoteCommand
from hanoverd.text.escapes import escaped, escaped_line, escaped_output

#: What clears a terminal, and moves to its top (ECMA-48: ED, CUP).
_CLEAR = "\x1b[2J\x1b[H"

#: The time in seconds after which a status is shown again: its ages change.
_REFRESH_INTERVAL = 1.0

#: The time between two requests for the status where there is no stream of events, in seconds.
_POLL_INTERVAL = 0.5

_DATA = "data: "


def show_events(daemon: Daemon, command: RemoteCommand) -> int:
    """Print the events, one a line, until the daemon ends; return the exit status: 1 if it ended without a stop."""
    is_stopping = False
    since = command.since_id if command.since is None else int(command.since.unix(time.time()))
    asked = {"since": since, "output": 1 if command.output else None}
    for data in _events(daemon, {name: value for name, value in asked.items() if value is not None}):
        if command.json:
            print(json.dumps(data), flush=True)
        else:
            print(escaped_line(_line(data)), flush=True)
        is_stopping = is_stopping or data["event"] == STOPPING
    if not is_stopping:
        print(
            f"hanoverd: the hanoverd that serves {daemon.app} has ended without a stop: it was killed, or has crashed "
            f"(`hanoverd status {daemon.app}` shows what still serves)",
            file=sys.stderr,
        )
    return 0 if is_stopping else 1


def watch_status(daemon: Daemon, command: RemoteCommand) -> int:
    """Print the status at each change until the daemon ends, which is a ``ControlError``."""
    is_terminal = sys.stdout.isatty() and not command.json
    changes = _Changes(daemon)
    before = None
    while True:
        status = status_of(daemon)
        if is_terminal:
            _draw(status)
        elif status != before:
            print(json.dumps(status) if command.json else escaped(status_text(status, time.time())), flush=True)
        before = status
        while not changes.wait(_REFRESH_INTERVAL if is_terminal else None):
            _draw(status)


def _draw(status: Mapping[str, Any]) -> None:
    print(_CLEAR, end="")
    print(escaped(status_text(status, time.time())), flush=True)


def open_events(daemon: Daemon) -> Iterator[Mapping[str, Any]] | None:
    """Return the events from now on, with the output of the versions; None if the daemon has no stream of events to offer.

    That is an older one, for example.  Close the iterator if it is not read to its end.
    """
    lines = daemon.lines("/events?output=1")
    try:
        # From its first line on, the stream has all events.
        is_open = next(lines, None) is not None
    except ControlError:
        return None
    return _data_in(daemon, lines) if is_open else None


def handover_parts(
    daemon: Daemon, events: Iterator[Mapping[str, Any]] | None, handover: int
) -> Iterator[Mapping[str, Any]]:
    """Yield what is logged until a handover has ended, and its record: the same objects as ``GET /handovers/ID``.

    That is read where there is no stream of events.
    """
    if events is None:
        for part in daemon.objects(f"/handovers/{handover}"):
            yield checked(daemon, part_of, part)
        return
    for data in events:
        is_missing = data["event"] == MISSED.id
        if data["event"] != ENDED:
            yield {"line": _text(data)}
        elif data.get("handover") == handover:
            yield checked(daemon, part_of, {"handover": data.get("record")})
            return
        if is_missing and (record := _record_if_over(daemon, handover)) is not None:
            yield {"handover": record}
            return


def _record_if_over(daemon: Daemon, handover: int) -> Any:
    records = checked(daemon, handovers_of, daemon.get("/history"))
    return next((one for one in records if one["id"] == handover and one["took"] is not None), None)


def _text(data: Mapping[str, Any]) -> str:
    """Return an event as the log shows it, without its time."""
    message = data["message"]
    if data["event"] in (OUTPUT, HOOK_OUTPUT):
        return escaped_output(message, colour=False)
    level = data["level"]
    lines = [message if level == "info" else f"{level.upper()} {message}", *filter(None, [data.get("traceback")])]
    return escaped("\n".join(lines)).rstrip("\n").replace("\n", "\n    ")


def _events(daemon: Daemon, query: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    """Return an iterator over the data of the events, which has all their fields, until the daemon ends."""
    return _data_in(daemon, daemon.lines(f"/events?{urlencode(query)}" if query else "/events"))


def _data_in(daemon: Daemon, lines: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if line.startswith(_DATA):
            yield checked(daemon, event_of, daemon.parsed(line.removeprefix(_DATA)))


def _line(data: Mapping[str, Any]) -> str:
    return f"{data['time']} {data['event']} {data['message']}"


class _Changes:
    """Waits for changes of the status: they come with the events.

    Without a stream of events, as from an older hanoverd, it only waits for a while.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._event = Event()
        self._may_follow = True
        self._has_stream = True
        Thread(target=self._read, daemon=True).start()

    def wait(self, seconds: float | None) -> bool:
        """Wait for the next change, at most for so long; return whether there may be one."""
        if not self._has_stream:
            time.sleep(_POLL_INTERVAL)
            return True
        # An event is sent when something happens, and the status may change a moment later: it is asked for once more.
        is_second_look = self._may_follow
        happened = self._event.wait(_POLL_INTERVAL if is_second_look else seconds)
        self._event.clear()
        self._may_follow = happened
        return happened or is_second_look

    def _read(self) -> None:
        try:
            for _ in _events(self._daemon, {}):
                self._event.set()
        except ControlError:
            pass
        self._has_stream = False
        self._event.set()
