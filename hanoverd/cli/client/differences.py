"""What ``hanoverd diff`` prints: lines like diff(1)'s, or JSON.  Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanoverd.cli.options.container import CONTAINER
from hanoverd.cli.options.option import Option
from hanoverd.cli.options.values import BILLIONTHS, SIZE
from hanoverd.spec.differences import BINDS, COMMAND, ENV, IMAGE, PLATFORM, PORTS, VOLUMES, Difference
from hanoverd.spec.ports import PortRequest
from hanoverd.text.addresses import bracketed
from hanoverd.text.escapes import escaped_line

#: The exit statuses of diff(1).
SAME, DIFFERENT = 0, 1

#: The options of places that several options fill, or that are no settings.
_OPTIONS = {
    IMAGE: "image",
    COMMAND: "command",
    ENV: "env",
    PLATFORM: "platform",
    PORTS: "publish",
    BINDS: "volume",
    VOLUMES: "volume",
    "Labels": "label",
    "ExposedPorts": "expose",
    "Healthcheck": "no-healthcheck",
    "Healthcheck.Test": "health-cmd",
    "Healthcheck.Interval": "health-interval",
    "Healthcheck.Timeout": "health-timeout",
    "Healthcheck.Retries": "health-retries",
    "Healthcheck.StartPeriod": "health-start-period",
    "Healthcheck.StartInterval": "health-start-interval",
    "HostConfig.CapAdd": "cap-add",
    "HostConfig.CapDrop": "cap-drop",
    "HostConfig.DeviceRequests": "gpus",
    "HostConfig.Devices": "device",
    "HostConfig.LogConfig": "log-driver",
    "HostConfig.LogConfig.Config": "log-opt",
    "HostConfig.MaskedPaths": "security-opt",
    "HostConfig.NetworkMode": "network",
    "HostConfig.ReadonlyPaths": "security-opt",
    "HostConfig.SecurityOpt": "security-opt",
    "HostConfig.StorageOpt": "storage-opt",
    "NetworkingConfig.EndpointsConfig": "network",
}

_OF_ROWS: Mapping[str, Option] = {option.request: option for option in CONTAINER if option.request}

_TIMES = frozenset(f"Healthcheck.{name}" for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"))

_UNITS = ((1024**3, "g"), (1024**2, "m"), (1024, "k"))

_DURATIONS = (
    (3600 * 10**9, "h"),
    (60 * 10**9, "m"),
    (10**9, "s"),
    (10**6, "ms"),
    (10**3, "us"),
)


def text(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines for people: a ``-`` for what the live version ``name`` has, a ``+`` for what the next one would have.

    Without differences, there is no line.
    """
    if not found:
        return ""
    lines = [f"--- {name}", "+++ the next version"]
    for one in found:
        option = one["option"]
        if one["unknown"]:
            lines += [f"- {option}: {_shown(one, one['live'])}", f"? {option}: {_shown(one, one['next'])}"]
            continue
        lines += [
            f"{sign} {option}: {_shown(one, one[side])}"
            for sign, side in (("-", "live"), ("+", "next"))
            if one[side] is not None
        ]
    return "\n".join(map(escaped_line, lines)) + "\n"


def as_json(found: Iterable[Mapping[str, Any]]) -> str:
    """Return one object a line."""
    return "".join(f"{json.dumps(one)}\n" for one in found)


def plain(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Return differences as they are printed as JSON: each with the option of its place."""
    return [named(vars(one)) for one in found]


def named(difference: Mapping[str, Any]) -> dict[str, Any]:
    """Return a difference, as a daemon sends it, with the option of its place."""
    return {
        "option": option_of(difference["place"]),
        "place": difference["place"],
        "live": difference["live"],
        "next": difference["next"],
        "unknown": difference["is_unknown"],
    }


def option_of(place: str) -> str:
    """Return the option that fills a place of the create request, without dashes; the place itself if none is known."""
    while place:
        if place in _OPTIONS:
            return _OPTIONS[place]
        if place in _OF_ROWS:
            return _OF_ROWS[place].name
        place = place.rpartition(".")[0]
    return "settings"


def with_published(
    found: Iterable[Difference], live: Iterable[Mapping[str, Any]], following: Sequence[PortRequest]
) -> tuple[Difference, ...]:
    """Replace the differences of container ports by differences of host ports.

    ``live`` are the routes as a status has them.
    """
    others = tuple(one for one in found if one.place != PORTS)
    routes = list(live)
    wanted: list[PortRequest] = []
    for request in following:
        serving = [one for one in routes if _serves(one, request)]
        if serving:
            # One for each address of the request.
            routes = [one for one in routes if one not in serving or one["host_port"] != serving[0]["host_port"]]
        else:
            wanted.append(request)
    gone = (f"{_host(one)}:{one['container_port']}/{_protocol(one)}" for one in routes)
    return (
        *others,
        *(Difference(PORTS, one.removesuffix("/tcp")) for one in gone),
        *(Difference(PORTS, None, str(one).removesuffix("/tcp")) for one in wanted),
    )


def _serves(route: Mapping[str, Any], request: PortRequest) -> bool:
    return (
        route["host_ip"] in map(str, request.addresses)
        and (route["container_port"], _protocol(route)) == (request.container.number, request.container.protocol.value)
        and request.accepts(route["host_port"])
    )


def _host(route: Mapping[str, Any]) -> str:
    return f"{bracketed(route['host_ip'])}:{route['host_port']}"


def _protocol(route: Mapping[str, Any]) -> str:
    # A hanoverd that publishes TCP only does not say it.
    return str(route.get("protocol", "tcp"))


def _shown(difference: Mapping[str, Any], value: Any) -> str:
    """Return a value as an option takes it, where that is simple."""
    row = _OF_ROWS.get(difference["place"])
    if isinstance(value, int) and difference["place"] in _TIMES:
        return _with_unit(value, _DURATIONS)
    if row is not None and isinstance(value, int) and not isinstance(value, bool):
        if row.value.read is SIZE.read:
            return _with_unit(value, _UNITS)
        if row.value.read is BILLIONTHS.read:
            return f"{value / 10**9:.9f}".rstrip("0").rstrip(".")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _with_unit(value: int, units: Sequence[tuple[int, str]]) -> str:
    for size, unit in units:
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)
