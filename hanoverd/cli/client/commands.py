"""``hanoverd list``, ``status``, ``deploy`` and the like: each speaks with a running daemon, and says what came of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from hanoverd.cli.client.connection import Daemon, daemon_of, running
from hanoverd.cli.client.tables import (
    LIST_TITLES,
    history_row,
    history_titles,
    json_lines,
    list_row,
    outcome,
    status_text,
    table,
)
from hanoverd.runtime.errors import ControlError
from hanoverd.spec.programs import RemoteCommand
from hanoverd.text.quoting import quoted

DONE, FAILED = 0, 1

#: Between two looks of ``status --watch``, in seconds.
EVERY = 0.5

#: What clears a terminal and begins at its top (ECMA-48: ED, CUP).
_CLEAR = "\x1b[2J\x1b[H"


def run_remote(settings: RemoteCommand, environ: Mapping[str, str], uid: int) -> int:
    """Do what the command says; gives its exit status.  Fails with ``ControlError``."""
    if settings.verb == "list":
        return _list(running(environ, uid), settings)
    return _VERBS[settings.verb](daemon_of(settings.app, environ, uid), settings)


def _list(daemons: list[Daemon], settings: RemoteCommand) -> int:
    statuses = []
    failed = DONE
    for daemon in daemons:
        try:
            statuses.append(daemon.get("/status"))
        except ControlError as error:
            print(f"hanoverd: {error}", file=sys.stderr)
            failed = FAILED
    if settings.quiet:
        print(*(status["app"] for status in statuses), sep="\n", end="\n" if statuses else "")
    elif settings.json:
        print(json_lines(statuses), end="\n" if statuses else "")
    else:
        now = time.time()
        print(table(LIST_TITLES, [list_row(status, now, trunc=settings.trunc) for status in statuses]))
    return failed


def _status(daemon: Daemon, settings: RemoteCommand) -> int:
    if not settings.watch:
        status = daemon.get("/status")
        print(json.dumps(status, indent=2) if settings.json else status_text(status, time.time()))
        return DONE
    before = None
    while True:
        status = daemon.get("/status")
        if settings.json:
            # A line at each change.
            if status != before:
                print(json.dumps(status), flush=True)
        elif sys.stdout.isatty():
            print(f"{_CLEAR}{status_text(status, time.time())}", flush=True)
        elif status != before:
            print(status_text(status, time.time()), flush=True)
        before = status
        time.sleep(EVERY)


def _history(daemon: Daemon, settings: RemoteCommand) -> int:
    records = daemon.get("/history")
    if settings.json:
        print(json_lines(records), end="\n" if records else "")
    else:
        now = time.time()
        # The newest first, as docker's own lists.
        rows = [history_row(record, now, trunc=settings.trunc) for record in reversed(records)]
        print(table(history_titles(trunc=settings.trunc), rows))
    return DONE


def _logs(daemon: Daemon, settings: RemoteCommand) -> int:
    query = {
        "tail": settings.tail,
        "follow": int(settings.follow),
        "source": settings.source,
        "since": None if settings.since is None else int(time.time() - settings.since),
        "timestamps": int(settings.timestamps),
        "format": "json" if settings.json else "text",
    }
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    for line in daemon.lines(f"/logs?{asked}"):
        print(line, flush=True)
    return DONE


def _deploy(daemon: Daemon, settings: RemoteCommand) -> int:
    asked = {} if settings.image is None else {"image": settings.image}
    return _begun(daemon, daemon.order("/deploy", asked)["handover"], settings)


def _rollback(daemon: Daemon, settings: RemoteCommand) -> int:
    asked = {} if settings.generation is None else {"generation": settings.generation}
    return _begun(daemon, daemon.order("/rollback", asked)["handover"], settings)


def _begun(daemon: Daemon, number: int, settings: RemoteCommand) -> int:
    if not settings.wait:
        print(f"{daemon.app}: handover {number} begins (`hanoverd status {daemon.app}` tells how it goes)")
        return DONE
    try:
        for line in daemon.lines(f"/handovers/{number}"):
            told = json.loads(line)
            if "handover" in told:
                return _told(daemon, told["handover"])
            print(told["line"], flush=True)
    except KeyboardInterrupt:
        print(f"{daemon.app}: handover {number} goes on (`hanoverd cancel {daemon.app}` cancels it)", file=sys.stderr)
        raise
    raise ControlError(f"{daemon.app}: hanoverd has ended before handover {number} was over: its log tells why")


def _told(daemon: Daemon, record: Mapping[str, Any]) -> int:
    is_live = record["outcome"] == "live"
    print(outcome(daemon.app, record), file=sys.stdout if is_live else sys.stderr)
    return DONE if is_live else FAILED


def _cancel(daemon: Daemon, settings: RemoteCommand) -> int:
    del settings
    record = daemon.order("/cancel", within=None)["handover"]
    if record is None:
        raise ControlError(f"{daemon.app}: there is no handover to cancel")
    if record["outcome"] == "live":
        raise ControlError(f"{daemon.app}: too late: {record['version']} is live (`hanoverd rollback {daemon.app}`)")
    print(outcome(daemon.app, record))
    return DONE


def _pause(daemon: Daemon, settings: RemoteCommand) -> int:
    del settings
    daemon.order("/pause")
    print(f"{daemon.app}: paused: triggers are held (`hanoverd resume {daemon.app}` does what they wished)")
    return DONE


def _resume(daemon: Daemon, settings: RemoteCommand) -> int:
    del settings
    held = daemon.order("/resume")["held"]
    told = f"a handover begins, for {', '.join(map(quoted, held))}" if held else "no trigger was held"
    print(f"{daemon.app}: resumed: {told}")
    return DONE


_VERBS: Mapping[str, Callable[[Daemon, RemoteCommand], int]] = {
    "status": _status,
    "history": _history,
    "logs": _logs,
    "deploy": _deploy,
    "rollback": _rollback,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
}
