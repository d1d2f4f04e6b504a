"""What the commands print, in the style of docker's own commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanoverd.text.addresses import bracketed
from hanoverd.text.durations import format_duration
from hanoverd.text.escapes import escaped_line
from hanoverd.text.short_id import short_id

#: How much of a reason has room in a row.
_SHORT_WHY = 60

#: The start of the lines of a value in a status, but of its first one.
_MARGIN = "\n" + 13 * " "


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return columns, each as wide as its widest cell, with three blanks between them."""
    lines = [list(titles), *([escaped_line(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def json_lines(objects: Iterable[Any]) -> str:
    """Return an object a line, as ``docker ps --format json`` does."""
    return "\n".join(json.dumps(one) for one in objects)


def list_row(status: Mapping[str, Any], now: float, *, trunc: bool) -> list[str]:
    """Return an app as ``list`` shows it."""
    live = status["live"] or {}
    return [
        status["app"],
        live.get("version", ""),
        live.get("image", ""),
        image_id(live.get("image_id", ""), trunc=trunc),
        _state(status, now),
        ", ".join(_port(port) for port in status["ports"]),
        "" if status["pid"] is None else str(status["pid"]),
    ]


#: The titles of ``list_row``.
LIST_TITLES = ("APP", "VERSION", "IMAGE", "IMAGE ID", "STATUS", "PORTS", "PID")


def version_row(version: Mapping[str, Any], now: float, *, trunc: bool) -> list[str]:
    """Return a version as ``versions`` shows it."""
    return [
        version["version"],
        version["state"],
        version["image"],
        image_id(version["image_id"], trunc=trunc),
        _ago(version["created"], now),
        _origin(version, trunc=trunc),
    ]


#: The titles of ``version_row``.
VERSION_TITLES = ("VERSION", "STATE", "IMAGE", "IMAGE ID", "CREATED", "FROM")


def history_row(record: Mapping[str, Any], now: float, *, trunc: bool) -> list[str]:
    """Return a handover as ``history`` shows it."""
    why = " ".join(record["why"].split())
    row = [
        record["version"],
        record["image"],
        _trigger(record),
        _ago(record["began"], now),
        "" if record["took"] is None else format_duration(record["took"]),
        record["outcome"],
        why if not trunc or len(why) <= _SHORT_WHY else f"{why[: _SHORT_WHY - 1]}…",
    ]
    return row if trunc else [*row[:-1], _changes(record), _phases(record), _drained(record), why]


def history_titles(*, trunc: bool) -> list[str]:
    """Return the titles of ``history_row``."""
    titles = ["VERSION", "IMAGE", "TRIGGER", "STARTED", "TOOK", "OUTCOME", "REASON"]
    return titles if trunc else [*titles[:-1], "CHANGED", "PHASES", "CONNECTIONS", "REASON"]


def status_text(status: Mapping[str, Any], now: float) -> str:
    """Return the whole status of an app, as lines with a name each."""
    live = status["live"]
    rows = [("state", _state(status, now))]
    if live is not None:
        rows.append(("live", _version(live, now) + (f", at {live['address']}" if live["address"] else "")))
    rows += [("port", _port(port)) for port in status["ports"]]
    rows += [("draining", name) for name in status["draining"]]
    if status["handover"] is not None:
        rows += _handover_rows(status["handover"], now)
    rows += [("held", reason) for reason in status["held"]]
    # An older hanoverd does not count them.
    if status.get("held_count", 0) > len(status["held"]):
        rows.append(("", f"{status['held_count']} triggers in all"))
    rows += [("kept", _version(one, now)) for one in status["kept"]]
    if status["repairs"]:
        rows.append(("firewall", f"repaired {_times(status['repairs'])}"))
    if status["pid"] is not None:
        rows.append(("process", f"{status['pid']}, hanoverd {status['hanoverd']}"))
    lines = [f"{status['app']}"]
    # A text of several lines, as why a handover failed: none of them may look like a row.
    return "\n".join([*lines, *(f"  {name and name + ':':<11}{text.replace(chr(10), _MARGIN)}" for name, text in rows)])


def outcome(app: str, record: Mapping[str, Any]) -> str:
    """Return how a handover has ended, in a line; of a reason with several lines, all but the first are indented."""
    return indented(_outcome(app, record))


def indented(text: str) -> str:
    """Return a message whose lines but the first are indented: none may look like a message of its own."""
    return re.sub(r"\n(?! {4})", "\n    ", text)


def _outcome(app: str, record: Mapping[str, Any]) -> str:
    version = record["version"]
    after = format_duration(record["took"] or 0.0)
    if record["outcome"] == "live":
        image = f" ({record['image']})" if record["image"] else ""
        rollback = f", a rollback to {record['rollback_to']}," if record["rollback_to"] else ""
        return f"{app}: {version}{image}{rollback} is live after {after}"
    if record["outcome"] == "unchanged":
        return f"{app}: unchanged, nothing to do after {after}: {record['why']}"
    handover = f"the handover to {version}" if version else "the handover"
    was = "failed" if record["outcome"] == "failed" else f"was {record['outcome']}"
    return f"{app}: {handover} {was} after {after}: {record['why']}"


def image_id(text: str, *, trunc: bool) -> str:
    """Return an ID as docker shows it: its first digits."""
    return short_id(text) if trunc else text


def _version(version: Mapping[str, Any], now: float) -> str:
    origin = _origin(version, trunc=True)
    made = f"{version['image']} ({image_id(version['image_id'], trunc=True)})"
    return f"{version['version']}, {made}, created {_ago(version['created'], now)}{origin and f', {origin}'}"


def _origin(version: Mapping[str, Any], *, trunc: bool) -> str:
    """Return what a version was made of, and whether it is a rollback."""
    revision = version["revision"]
    kind, _, digits = revision.rpartition(":")
    short = f"{kind and kind + ':'}{short_id(digits)}" if trunc else revision
    source = version["source"]
    made = f"{source} ({short})" if source and short else source or short
    rollback = f"rollback to {version['rollback_to']}" if version["rollback_to"] else ""
    return ", ".join(part for part in (rollback, made) if part)


def _trigger(record: Mapping[str, Any]) -> str:
    """Return why a handover was started, and who asked, as far as that is not said already."""
    users = [one["user"] or f"uid {one['uid']}" for one in record.get("asked_by", ()) if one["uid"] is not None]
    by = "".join(f", by {user}" for user in users)
    to = f", to {record['rollback_to']}" if record["rollback_to"] else ""
    return f"{record['trigger']}{by}{to}"


def _changes(record: Mapping[str, Any]) -> str:
    # Late: only this needs the table of the options of docker run.
    from hanoverd.cli.client.differences import option_of  # noqa: PLC0415

    changes = record.get("changes")
    if changes is None:
        return ""
    return ", ".join(dict.fromkeys(option_of(one["place"]) for one in changes)) or "nothing"


def _drained(record: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{one['version']}: {'?' if one['finished'] is None else one['finished']} finished, "
        f"{'?' if one['cut'] is None else one['cut']} cut"
        for one in record.get("drained", ())
    )


def _handover_rows(record: Mapping[str, Any], now: float) -> list[tuple[str, str]]:
    to = f"to {record['version']}, " if record["version"] else ""
    rollback = f", a rollback to {record['rollback_to']}" if record["rollback_to"] else ""
    phases = _phases(record)
    rows = [("handover", f"{to}started {_ago(record['began'], now)}: {record['trigger']}{rollback}")]
    if phases:
        rows.append(("", phases))
    if record["outcome"] == "under way":
        return rows
    took = format_duration(record["took"] or 0.0)
    why = f": {record['why']}" if record["why"] else ""
    return [*rows, ("", f"{record['outcome']} after {took}{why}")]


def _phases(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{one['phase']} in {format_duration(one['seconds'])}" for one in record["phases"])


def _state(status: Mapping[str, Any], now: float) -> str:
    live = status["live"]
    if status["state"] == "no daemon":
        return "No daemon" if live else "No daemon, and no version runs"
    text = "No version is live" if live is None else f"Live for {format_duration(max(0.0, now - live['since']))}"
    if status["state"] == "handing over":
        text += f", handing over to {status['handover']['version'] or 'the next version'}"
    if status["state"] == "stopping":
        text += ", stopping"
    return f"{text} (paused)" if status["paused"] else text


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ago(then: float, now: float) -> str:
    return f"{format_duration(max(0.0, now - then))} ago"


def _port(port: Mapping[str, Any]) -> str:
    return (
        f"{bracketed(str(port['host_ip']))}:{port['host_port']}->{port['container_port']}/{port.get('protocol', 'tcp')}"
    )
