"""Devices of the host: ``--device``, ``--device-cgroup-rule`` and ``--gpus``."""

from __future__ import annotations

import posixpath
import re

from hanoverd.text.comma_fields import comma_fields
from hanoverd.text.numbers import parse_integer

_RULE = re.compile(r"[acb] (?:[0-9]+|\*):(?:[0-9]+|\*) [rwm]{1,3}")
_ALL = "rwm"

#: ``VENDOR/CLASS=NAME`` (Container Device Interface specification).
_CDI_NAME = re.compile(
    r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?=[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?"
)

#: HOST, CONTAINER and MODE.
_MOST_PARTS = 3


def parse_device(text: str) -> dict[str, object] | str:
    """Read ``PATH[:PATH][:MODE]``, an entry of ``HostConfig.Devices``, or the name of a CDI device, which stays text.

    ValueError, in docker's words.
    """
    if _CDI_NAME.fullmatch(text):
        return text
    parts = text.split(":")
    if len(parts) > _MOST_PARTS or not parts[0]:
        raise ValueError(f"bad format for path: {text}")
    host, container, mode = _split(parts)
    if not posixpath.isabs(container):
        raise ValueError(f"{container} is not an absolute path")
    # As docker does: with three parts, neither path is cleaned; with two paths, only the second one.
    if len(parts) < _MOST_PARTS:
        host, container = (_clean(host) if host == container else host), _clean(container)
    return {"PathOnHost": host, "PathInContainer": container, "CgroupPermissions": mode}


def parse_device_rule(text: str) -> str:
    """Check a rule of the device cgroup, such as ``c 1:3 r``; ValueError, in docker's words."""
    if not _RULE.fullmatch(text):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def parse_gpus(text: str) -> dict[str, object]:
    """Read ``all``, a count, or ``KEY=VALUE,...``: an entry of ``HostConfig.DeviceRequests``; ValueError, in docker's words."""
    request: dict[str, object] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [], "Options": None}
    seen: set[str] = set()
    for field in comma_fields(text):
        key, equals, value = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not equals:
            seen.add("count")
            request["Count"] = _count(key)
            continue
        _take_gpu_field(request, field, key, value)
    if not seen & {"count", "device"}:
        request["Count"] = 1
    if request["Options"] is None:
        request["Options"] = {}
    capabilities = request["Capabilities"]
    request["Capabilities"] = capabilities or [["gpu"]]
    return request


def device_requests(gpus: list[dict[str, object]], cdi_names: list[str]) -> list[dict[str, object]]:
    """Return ``HostConfig.DeviceRequests``: those for GPUs, then one for all CDI devices."""
    cdi = {"Driver": "cdi", "Count": 0, "DeviceIDs": cdi_names, "Capabilities": None, "Options": None}
    return [*gpus, cdi] if cdi_names else gpus


def _take_gpu_field(request: dict[str, object], field: str, key: str, value: str) -> None:
    if key == "driver":
        request["Driver"] = value
    elif key == "count":
        request["Count"] = _count(value)
    elif key == "device":
        request["DeviceIDs"] = value.split(",")
    elif key == "capabilities":
        request["Capabilities"] = [[*value.split(","), "gpu"]]
    elif key == "options":
        pairs = (one.partition("=") for one in comma_fields(value))
        request["Options"] = {name: text for name, _, text in pairs}
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return parse_integer(text, base=10)
    except ValueError as error:
        reason = str(error).rpartition(": ")[2]
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: {reason}') from None


def _split(parts: list[str]) -> tuple[str, str, str]:
    """Return the path on the host, the path in the container, and the mode."""
    host, *rest = parts
    if len(rest) == 2:  # a path and a mode
        if not _is_mode(rest[1]):
            raise ValueError(f"bad mode specified: {rest[1]}")
        return host, rest[0], rest[1]
    if not rest or _is_mode(rest[0]):
        return host, host, rest[0] if rest else _ALL
    return host, rest[0], _ALL


def _is_mode(text: str) -> bool:
    return bool(text) and set(text) <= set(_ALL) and len(set(text)) == len(text)


def _clean(path: str) -> str:
    """Return the path without what means nothing (Go's ``path.Clean``): a leading ``//`` is one slash, too."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("/") else cleaned
