"""What daemons answer, checked: so one that answers something else, or an older one, spoils only what is shown of it.  Pure.

Keys that are missing get the value that stands for "not known".  Keys that are not known are kept.  All functions raise ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]

#: Stands for a key that must be there.
_REQUIRED = object()

#: The highest number that is taken: others could not be shown, or calculated with.
_MOST = 2**63

#: For each key: whether a value is of its type, and the value if it is missing.
_Table = Mapping[str, tuple[Check, Any]]

#: A line of the exposition of an app's metrics: the open connections of the versions of a role.
_CONNECTIONS = re.compile(
    r'^hanoverd_connections\{app="[^"]*",role="(live|draining)"\} ([0-9]{1,12})(?:\.0)?$', re.MULTILINE | re.ASCII
)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    # Python's JSON has NaN and Infinity, too.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_anything(_value: Any) -> bool:
    return True


_VERSION: _Table = {
    "version": (_is_text, ""),
    "number": (_is_whole, 0),
    "state": (_is_text, ""),
    "image": (_is_text, ""),
    "image_id": (_is_text, ""),
    "source": (_is_text, ""),
    "revision": (_is_text, ""),
    "rollback_to": (_is_text, ""),
    "created": (_is_number, 0.0),
}

_LIVE: _Table = {**_VERSION, "address": (_is_text, ""), "since": (_is_number, 0.0)}

_PORT: _Table = {
    "host_ip": (_is_text, ""),
    "host_port": (_is_whole, 0),
    "container_ip": (_is_text, ""),
    "container_port": (_is_whole, 0),
    "protocol": (_is_text, "tcp"),
}

_ORIGIN: _Table = {
    "kind": (_is_text, ""),
    "user": (_is_text, ""),
    "uid": (_or_null(_is_whole), None),
    "topic": (_is_text, ""),
    "commit": (_is_text, ""),
}

_DRAINED: _Table = {
    "version": (_is_text, ""),
    "seconds": (_is_number, 0.0),
    "finished": (_or_null(_is_whole), None),
    "cut": (_or_null(_is_whole), None),
}

_PHASE: _Table = {"phase": (_is_text, ""), "seconds": (_is_number, 0.0)}

_CHANGE: _Table = {"place": (_is_text, ""), "live": (_is_anything, None), "next": (_is_anything, None)}

_HANDOVER: _Table = {
    "id": (_is_whole, 0),
    "app": (_is_text, ""),
    "trigger": (_is_text, ""),
    "began": (_is_number, 0.0),
    "asked_by": (_list_of(_is_object), []),
    "version": (_is_text, ""),
    "number": (_or_null(_is_whole), None),
    "old": (_is_text, ""),
    "rollback_to": (_is_text, ""),
    "source": (_is_text, ""),
    "revision": (_is_text, ""),
    "image": (_is_text, ""),
    "image_id": (_is_text, ""),
    "changes": (_or_null(_list_of(_is_object)), None),
    "phases": (_list_of(_is_object), []),
    "outcome": (_is_text, ""),
    "why": (_is_text, ""),
    "took": (_or_null(_is_number), None),
    "drained": (_list_of(_is_object), []),
    "losses": (_is_whole, 0),
}

_STATUS: _Table = {
    "app": (_is_text, ""),
    "state": (_is_text, "down"),
    "live": (_or_null(_is_object), None),
    "ports": (_list_of(_is_object), []),
    "draining": (_list_of(_is_text), []),
    "handover": (_or_null(_is_object), None),
    "paused": (_is_boolean, False),
    "held": (_list_of(_is_text), []),
    "held_count": (_is_whole, 0),
    "kept": (_list_of(_is_object), []),
    "repairs": (_is_whole, 0),
    "pid": (_or_null(_is_whole), None),
    "hanoverd": (_is_text, ""),
}


_DIFFERENCE: _Table = {**_CHANGE, "is_unknown": (_is_boolean, False)}

_DIFF: _Table = {"version": (_is_text, ""), "differences": (_list_of(_is_object), _REQUIRED)}

_EVENT: _Table = {
    "time": (_is_text, ""),
    "level": (_is_text, "info"),
    "event": (_is_text, "other"),
    "message": (_is_text, ""),
}


def status_of(answer: Any, app: str) -> dict[str, Any]:
    """Return the answer to ``GET /status`` of an app, with all its keys; ValueError."""
    status = _shaped(answer, _STATUS, "the status")
    if status["app"] != app:
        raise ValueError("it is the status of another app")
    if status["live"] is not None:
        status["live"] = _shaped(status["live"], _LIVE, "the live version")
    if status["handover"] is not None:
        status["handover"] = handover_of(status["handover"])
    status["kept"] = [_shaped(one, _VERSION, "a kept version") for one in status["kept"]]
    status["ports"] = [_shaped(one, _PORT, "a port") for one in status["ports"]]
    return status


def handovers_of(answer: Any) -> tuple[dict[str, Any], ...]:
    """Return the answer to ``GET /history``, each handover with all its keys; ValueError."""
    if not isinstance(answer, list):
        raise ValueError("the history is not a list")  # noqa: TRY004  # a wrong answer, whatever is wrong
    return tuple(map(handover_of, answer))


def versions_of(answer: Any) -> list[dict[str, Any]]:
    """Return the answer to ``GET /versions``, each version with all its keys; ValueError."""
    if not isinstance(answer, list):
        raise ValueError("the versions are not a list")  # noqa: TRY004  # it is a wrong value of another program
    return [_shaped(one, _VERSION, "a version") for one in answer]


def diff_of(answer: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return the answer to ``GET /diff``: the live version, and the differences; ValueError."""
    found = _shaped(answer, _DIFF, "the comparison")
    return found["version"], [_shaped(one, _DIFFERENCE, "a difference") for one in found["differences"]]


def event_of(answer: Any) -> dict[str, Any]:
    """Return an event of the stream, with all the keys that each event has; ValueError."""
    event = _shaped(answer, _EVENT, "an event")
    if not _is_text(event.get("traceback", "")):
        raise ValueError("an event has a wrong value for traceback")
    return event


def part_of(answer: Any) -> dict[str, Any]:
    """Return an object of the answer to ``GET /handovers/ID``: with a ``line``, or with the ``handover``; ValueError."""
    if _is_object(answer) and "handover" in answer:
        return {"handover": handover_of(answer["handover"])}
    return _shaped(answer, {"line": (_is_text, "")}, "a line of the handover")


def started_of(answer: Any) -> int:
    """Return the ID in the answer to ``POST /deploy`` and ``/rollback``; ValueError."""
    return int(_shaped(answer, {"handover": (_is_whole, _REQUIRED)}, "the answer")["handover"])


def cancelled_of(answer: Any) -> dict[str, Any] | None:
    """Return the handover in the answer to ``POST /cancel``; ValueError."""
    handover = _shaped(answer, {"handover": (_or_null(_is_object), _REQUIRED)}, "the answer")["handover"]
    return None if handover is None else handover_of(handover)


def held_of(answer: Any) -> list[str]:
    """Return the reasons in the answer to ``POST /resume``; ValueError."""
    return list(_shaped(answer, {"held": (_list_of(_is_text), [])}, "the answer")["held"])


def stopped_of(answer: Any) -> tuple[int, str | None]:
    """Return the process and its unit, in the answer to ``POST /stop``; ValueError."""
    found = _shaped(answer, {"pid": (_is_whole, _REQUIRED), "unit": (_or_null(_is_text), None)}, "the answer")
    return found["pid"], found["unit"]


def connections_of(exposition: str) -> dict[str, int]:
    """Return the open connections in an app's metrics, by ``live`` and ``draining``, where they are known."""
    return {role: int(count) for role, count in _CONNECTIONS.findall(exposition)}


def handover_of(answer: Any) -> dict[str, Any]:
    """Return a handover with all its keys; ValueError."""
    handover = _shaped(answer, _HANDOVER, "a handover")
    handover["asked_by"] = [_shaped(one, _ORIGIN, "an origin") for one in handover["asked_by"]]
    handover["phases"] = [_shaped(one, _PHASE, "a phase") for one in handover["phases"]]
    handover["drained"] = [_shaped(one, _DRAINED, "a drained version") for one in handover["drained"]]
    if handover["changes"] is not None:
        handover["changes"] = [_shaped(one, _CHANGE, "a change") for one in handover["changes"]]
    return handover


def _shaped(answer: Any, table: _Table, what: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ValueError(f"{what} is not an object")  # noqa: TRY004  # as above
    found = dict(answer)
    for key, (check, missing) in table.items():
        if key not in found:
            if missing is _REQUIRED:
                raise ValueError(f"{what} has no {key}")
            found[key] = missing
        elif not check(found[key]):
            raise ValueError(f"{what} has a wrong value for {key}")
    return found
