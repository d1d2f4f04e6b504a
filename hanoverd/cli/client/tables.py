"""What the commands print, in the habits of docker's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanoverd.text.durations import format_duration
from hanoverd.text.short_id import short_id

#: How much of a reason has room in a row.
_SHORT_WHY = 60


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns, each as wide as its widest cell, three blanks apart."""
    lines = [list(titles), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def json_lines(objects: Iterable[Any]) -> str:
    """An object a line, as ``docker ps --format json``."""
    return "\n".join(json.dumps(one) for one in objects)


def list_row(status: Mapping[str, Any], now: float, *, trunc: bool) -> list[str]:
    """An app, as ``list`` shows it."""
    live = status["live"] or {}
    return [
        status["app"],
        live.get("version", ""),
        live.get("image", ""),
        image_id(live.get("image_id", ""), trunc=trunc),
        _state(status, now),
        ", ".join(_port(port) for port in status["ports"]),
        str(status["pid"]),
    ]


#: The titles of ``list_row``.
LIST_TITLES = ("APP", "VERSION", "IMAGE", "IMAGE ID", "STATUS", "PORTS", "PID")


def history_row(record: Mapping[str, Any], now: float, *, trunc: bool) -> list[str]:
    """A handover, as ``history`` shows it."""
    why = " ".join(record["why"].split())
    row = [
        str(record["id"]),
        record["version"],
        record["image"],
        record["trigger"],
        f"{format_duration(max(0.0, now - record['began']))} ago",
        "" if record["took"] is None else format_duration(record["took"]),
        record["outcome"],
        why if not trunc or len(why) <= _SHORT_WHY else f"{why[: _SHORT_WHY - 1]}…",
    ]
    return row if trunc else [*row[:-1], _phases(record), why]


def history_titles(*, trunc: bool) -> list[str]:
    """The titles of ``history_row``."""
    titles = ["HANDOVER", "VERSION", "IMAGE", "TRIGGER", "BEGAN", "TOOK", "OUTCOME", "WHY"]
    return titles if trunc else [*titles[:-1], "PHASES", "WHY"]


def status_text(status: Mapping[str, Any], now: float) -> str:
    """All about an app, a line a thing."""
    live = status["live"]
    rows = [("state", _state(status, now))]
    if live is not None:
        rows.append(("live", f"{live['version']}, {live['image']} ({live['image_id']}), at {live['address']}"))
    rows += [("port", _port(port)) for port in status["ports"]]
    rows += [("draining", name) for name in status["draining"]]
    if status["handover"] is not None:
        rows += _handover_rows(status["handover"], now)
    rows += [("held", reason) for reason in status["held"]]
    rows += [("kept", f"{one['generation']}, {one['image']} ({one['image_id']})") for one in status["kept"]]
    if status["rules_mended"]:
        rows.append(("firewall", f"put right {status['rules_mended']} times"))
    rows.append(("process", f"{status['pid']}, hanoverd {status['hanoverd']}"))
    lines = [f"{status['app']}"]
    return "\n".join([*lines, *(f"  {name and name + ':':<11}{text}" for name, text in rows)])


def outcome(app: str, record: Mapping[str, Any]) -> str:
    """What a handover has come to, in a line."""
    version = f"{record['version']} ({record['image']})" if record["image"] else record["version"] or "it"
    after = format_duration(record["took"] or 0.0)
    ends = {
        "live": f"{version} is live after {after}",
        "failed": f"failed after {after}: {record['why']}",
        "cancelled": f"cancelled after {after}: {record['why']}",
    }
    return f"{app}: handover {record['id']}: {ends.get(record['outcome'], record['outcome'])}"


def image_id(text: str, *, trunc: bool) -> str:
    """An ID as docker shows it: its first digits."""
    return short_id(text) if trunc else text


def _handover_rows(record: Mapping[str, Any], now: float) -> list[tuple[str, str]]:
    began = f"{format_duration(max(0.0, now - record['began']))} ago"
    phases = _phases(record)
    rows = [("handover", f"{record['id']}, of {record['version'] or '?'}, began {began}: {record['trigger']}")]
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
    said = "No version is live" if live is None else f"Live for {format_duration(max(0.0, now - live['since']))}"
    if status["state"] == "handing over":
        said += f", handing over to {status['handover']['version'] or 'the next'}"
    if status["state"] == "stopping":
        said += ", stopping"
    return f"{said} (paused)" if status["paused"] else said


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['host_ip']}:{port['host_port']}->{port['container_port']}/tcp"
