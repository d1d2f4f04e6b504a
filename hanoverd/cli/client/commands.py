"""``hanoverd list``, ``status``, ``deploy`` and so on: each asks a running daemon, and prints the answer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlencode

from hanoverd.cli.client.checked import checked, status_of
from hanoverd.cli.client.event_stream import handover_parts, open_events, show_events, watch_status
from hanoverd.cli.client.tables import (
    LIST_TITLES,
    VERSION_TITLES,
    history_row,
    history_titles,
    indented,
    json_lines,
    list_row,
    outcome,
    status_text,
    table,
    version_row,
)
from hanoverd.daemons import answers
from hanoverd.daemons.connection import Daemon, daemon_of, find_daemon, running_daemons
from hanoverd.daemons.unix_connection import folder_problem
from hanoverd.docker.access import TrustedUsers
from hanoverd.history.record import DEFAULT_LIMIT, HistoryQuery
from hanoverd.runtime.errors import ControlError, HanoverdError
from hanoverd.runtime.sockets import pause_file_of, searched_folders, socket_of
from hanoverd.runtime.state_folder import history_file_of, state_folder
from hanoverd.spec.programs import RemoteCommand
from hanoverd.text.escapes import escaped, escaped_line
from hanoverd.text.quoting import quoted

if TYPE_CHECKING:
    from hanoverd.cli.client.without_daemon import Host

DONE, FAILED = 0, 1

#: The time between two looks whether a daemon has ended, in seconds; and how long its process may outlive its socket.
_END_INTERVAL, _END_TIMEOUT = 0.05, 10.0


def run_remote(command: RemoteCommand, environ: Mapping[str, str], uid: int) -> int:
    """Run a command; return its exit status.  Fails with ``HanoverdError``."""
    if command.verb == "list":
        return _list(command, environ, uid)
    if command.verb == "history" or command.verb in _WITHOUT_DAEMON:
        daemon, problems = find_daemon(command.app, environ, uid)
        _warn(problems)
        if daemon is None and command.verb == "history":
            return _history_without_daemon(command, environ, uid)
        if daemon is None:
            return _WITHOUT_DAEMON[command.verb](_host(environ), command, environ, uid)
        return _VERBS[command.verb](daemon, command)
    return _VERBS[command.verb](daemon_of(command.app, environ, uid), command)


def _print(text: str, *, file: TextIO | None = None, end: str = "\n") -> None:
    """Print what a daemon, or the engine, has answered: it may contain anything."""
    print(escaped(text), file=file, end=end, flush=True)


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        _print(f"hanoverd: {problem}", file=sys.stderr)


def _host(environ: Mapping[str, str]) -> Host:
    # Late: most commands start faster without what talks to the engine.
    from hanoverd.cli.client.without_daemon import Host  # noqa: PLC0415

    return Host(environ)


def _list(command: RemoteCommand, environ: Mapping[str, str], uid: int) -> int:
    daemons, problems = running_daemons(environ, uid)
    _warn(problems)
    statuses, status = [], DONE
    for daemon in daemons:
        try:
            statuses.append(status_of(daemon))
        except ControlError as error:
            _warn([str(error)])
            status = FAILED
    try:
        host = _host(environ)
        statuses += [one.json() for one in host.serving({daemon.app for daemon in daemons})]
    except HanoverdError as error:
        _warn([f"apps that serve without a hanoverd are not listed: {error}"])
    statuses.sort(key=lambda one: str(one["app"]))
    if command.quiet:
        _print("".join(f"{one['app']}\n" for one in statuses), end="")
    elif command.json:
        print(json_lines(statuses), end="\n" if statuses else "")
    else:
        now = time.time()
        _print(table(LIST_TITLES, [list_row(one, now, trunc=command.trunc) for one in statuses]))
    return status


def _status(daemon: Daemon, command: RemoteCommand) -> int:
    if not command.watch:
        return _print_status(status_of(daemon), command)
    return watch_status(daemon, command)


def _status_without_daemon(host: Host, command: RemoteCommand, _environ: Mapping[str, str], _uid: int) -> int:
    status = host.status(command.app)
    if status is None:
        raise _unknown(command.app)
    _print_status(status.json(), command)
    if host.problem:
        _warn([f"the ports are unknown: {host.problem}"])
    return DONE


def _print_status(status: Mapping[str, Any], command: RemoteCommand) -> int:
    _print(json.dumps(status, indent=2) if command.json else status_text(status, time.time()))
    return DONE


def _unknown(app: str) -> ControlError:
    return ControlError(f"there is no app {app}: no hanoverd serves it, and it has no containers (`hanoverd list`)")


def _versions(daemon: Daemon, command: RemoteCommand) -> int:
    return _print_versions(checked(daemon, answers.versions_of, daemon.get("/versions")), command)


def _versions_without_daemon(host: Host, command: RemoteCommand, _environ: Mapping[str, str], _uid: int) -> int:
    versions = [vars(one) for one in host.versions(command.app)]
    if not versions:
        raise _unknown(command.app)
    return _print_versions(versions, command)


def _print_versions(versions: list[dict[str, Any]], command: RemoteCommand) -> int:
    if command.json:
        print(json_lines(versions), end="\n" if versions else "")
    else:
        now = time.time()
        _print(table(VERSION_TITLES, [version_row(one, now, trunc=command.trunc) for one in versions]))
    return DONE


def _diff(daemon: Daemon, command: RemoteCommand) -> int:
    # Late: only this command needs the table of the options of docker run.
    from hanoverd.cli.client import differences  # noqa: PLC0415

    version, compared = checked(daemon, answers.diff_of, daemon.get("/diff", is_short=False))
    found = [differences.named(one) for one in compared]
    shown = differences.as_json(found) if command.json else differences.text(version, found)
    _print(shown, end="")
    return differences.DIFFERENT if found else differences.SAME


def _diff_without_daemon(host: Host, command: RemoteCommand, _environ: Mapping[str, str], _uid: int) -> int:
    if host.status(command.app) is None:
        raise _unknown(command.app)
    raise ControlError(
        f"{command.app}: no hanoverd serves it, so what the next one would change depends on its options: write them, as in "
        f"`hanoverd diff {command.app} --publish 8080:80 IMAGE`"
    )


def _stop(daemon: Daemon, command: RemoteCommand) -> int:
    pid, unit = checked(daemon, answers.stopped_of, daemon.post("/stop"))
    try:
        _wait_until_ended(daemon, pid)
    except KeyboardInterrupt:
        print(f"{command.app}: still stopping; `kill {pid}` stops it at once", file=sys.stderr)
        raise
    print(f"{command.app}: stopped")
    if unit:
        unit = escaped_line(unit)
        print(f"{command.app}: if systemd starts it again, run `systemctl stop {unit}`", file=sys.stderr)
    return DONE


def _wait_until_ended(daemon: Daemon, pid: int) -> None:
    while daemon.is_running():
        time.sleep(_END_INTERVAL)
    # It releases the app's ports and its name last.
    deadline = time.monotonic() + _END_TIMEOUT
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(_END_INTERVAL)


def _stop_without_daemon(host: Host, command: RemoteCommand, environ: Mapping[str, str], uid: int) -> int:
    from hanoverd.cli.client.without_daemon import remove_files  # noqa: PLC0415  # as in ``_host``

    removed = host.end(command.app)
    trusted = TrustedUsers(environ)
    folders = [folder for folder in searched_folders(environ, uid) if folder_problem(folder, trusted) is None]
    remove_files(path(folder, command.app) for folder in folders for path in (socket_of, pause_file_of))
    if not removed:
        raise _unknown(command.app)
    _print(f"{command.app}: stopped, without a hanoverd: removed {', '.join(removed)}")
    return DONE


def _history(daemon: Daemon, command: RemoteCommand) -> int:
    query = _history_query(command)
    parameters = urlencode({"since": f"{query.since:.6f}", "limit": query.limit})
    # An older hanoverd answers with all that it has.
    records = checked(daemon, answers.handovers_of, daemon.get(f"/history?{parameters}"))
    return _print_history(query.select(records), command)


def _history_without_daemon(command: RemoteCommand, environ: Mapping[str, str], uid: int) -> int:
    # Late: no other command needs SQLite.
    from hanoverd.history.reading import read_history  # noqa: PLC0415

    path = history_file_of(state_folder(environ, uid), command.app)
    records = read_history(path, _history_query(command))
    if records is None:
        raise ControlError(
            f"no hanoverd serves {command.app}, and there is no history of it in {path.parent} (`hanoverd list` shows the apps "
            "on this host)"
        )
    return _print_history(records, command)


def _history_query(command: RemoteCommand) -> HistoryQuery:
    since = 0.0 if command.since is None else command.since.unix(time.time())
    return HistoryQuery(command.limit or DEFAULT_LIMIT, since)


def _print_history(records: Sequence[Mapping[str, Any]], command: RemoteCommand) -> int:
    if command.json:
        print(json_lines(records), end="\n" if records else "")
    else:
        now = time.time()
        # The newest first, as in docker's own lists.
        rows = [history_row(record, now, trunc=command.trunc) for record in reversed(records)]
        _print(table(history_titles(trunc=command.trunc), rows))
    return DONE


def _logs(daemon: Daemon, command: RemoteCommand) -> int:
    query = {
        "tail": command.tail,
        "follow": int(command.follow),
        "source": command.source,
        "since": None if command.since is None else int(command.since.unix(time.time())),
        "timestamps": int(command.timestamps),
        "format": "json" if command.json else "text",
    }
    for line in daemon.lines(f"/logs?{urlencode({name: value for name, value in query.items() if value is not None})}"):
        _print(line)
    return DONE


def _deploy(daemon: Daemon, command: RemoteCommand) -> int:
    asked = {
        "image": command.image,
        "status_timeout": command.status_timeout,
        "if_changed": command.if_changed or None,
    }
    # An older hanoverd refuses keys that it does not know.
    body = {key: value for key, value in asked.items() if value is not None}
    return _hand_over(daemon, command, "/deploy", body)


def _rollback(daemon: Daemon, command: RemoteCommand) -> int:
    body = {} if command.version is None else {"version": command.version}
    return _hand_over(daemon, command, "/rollback", body)


def _hand_over(daemon: Daemon, command: RemoteCommand, resource: str, body: Mapping[str, object]) -> int:
    app = daemon.app
    if not command.wait:
        daemon.post(resource, body)
        print(f"{app}: a handover starts (`hanoverd status {app}` shows its progress)")
        return DONE
    # Before the handover starts: nothing of it is missed.
    events = open_events(daemon)
    handover = checked(daemon, answers.started_of, daemon.post(resource, body))
    try:
        for part in handover_parts(daemon, events, handover):
            if "handover" in part:
                return _print_outcome(daemon, part["handover"])
            _print(indented(part["line"]))
    except KeyboardInterrupt:
        print(
            f"{app}: the handover continues in hanoverd: `hanoverd status {app}` shows it, `hanoverd cancel {app}` "
            "cancels it",
            file=sys.stderr,
        )
        raise
    raise ControlError(f"{app}: hanoverd ended before the handover was over: its log says why")


def _print_outcome(daemon: Daemon, record: Mapping[str, Any]) -> int:
    is_done = record["outcome"] in ("live", "unchanged")
    _print(outcome(daemon.app, record), file=sys.stdout if is_done else sys.stderr)
    return DONE if is_done else FAILED


def _cancel(daemon: Daemon, _command: RemoteCommand) -> int:
    record = checked(daemon, answers.cancelled_of, daemon.post("/cancel", is_short=False))
    if record is None:
        raise ControlError(f"{daemon.app}: there is no handover to cancel")
    if record["outcome"] == "live":
        raise ControlError(f"{daemon.app}: too late: {record['version']} is live (`hanoverd rollback {daemon.app}`)")
    _print(outcome(daemon.app, record))
    return DONE


def _pause(daemon: Daemon, _command: RemoteCommand) -> int:
    daemon.post("/pause")
    print(f"{daemon.app}: paused: triggers are held until `hanoverd resume {daemon.app}`")
    return DONE


def _resume(daemon: Daemon, _command: RemoteCommand) -> int:
    held = checked(daemon, answers.held_of, daemon.post("/resume"))
    result = f"a handover starts, for {', '.join(map(quoted, held))}" if held else "no trigger was held"
    _print(f"{daemon.app}: resumed: {result}")
    return DONE


_VERBS: Mapping[str, Callable[[Daemon, RemoteCommand], int]] = {
    "status": _status,
    "versions": _versions,
    "history": _history,
    "logs": _logs,
    "events": show_events,
    "deploy": _deploy,
    "diff": _diff,
    "rollback": _rollback,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
}

#: The commands that also work for an app that serves without a daemon.
_WITHOUT_DAEMON: Mapping[str, Callable[[Host, RemoteCommand, Mapping[str, str], int], int]] = {
    "status": _status_without_daemon,
    "versions": _versions_without_daemon,
    "diff": _diff_without_daemon,
    "stop": _stop_without_daemon,
}
