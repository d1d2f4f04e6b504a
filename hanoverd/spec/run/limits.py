"""Limits of resources: memory swap, swappiness, ulimits, and the weights and rates of block devices."""

from __future__ import annotations

from collections.abc import Iterable

from hanoverd.text.numbers import parse_integer, parse_unsigned
from hanoverd.text.sizes import parse_size

#: The resources of ``--ulimit``, as docker's client lists them.
_ULIMITS = frozenset(
    [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)
_LEAST_WEIGHT, _MOST_WEIGHT = 10, 1000

_SIZE_RULE = (
    "The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can "
    "be kb, mb, or gb"
)
_COUNT_RULE = "The correct format is <device-path>:<number>. Number must be a positive integer"


def parse_swap(text: str) -> int:
    """Return the bytes of a size, or -1, which means no limit; ValueError, in docker's words."""
    return -1 if text == "-1" else parse_size(text)


def check_swappiness(value: int) -> None:
    """Raise ValueError, in docker's words, unless ``value`` is a percentage or -1, the engine's default."""
    if not -1 <= value <= 100:  # percent
        raise ValueError(f"invalid value: {value}. Valid memory swappiness range is 0-100")


def parse_ulimit(text: str) -> dict[str, object]:
    """Read ``NAME=SOFT[:HARD]``, an entry of ``HostConfig.Ulimits``; ValueError, in docker's words."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:  # soft and hard
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft, hard = parse_integer(parts[0], base=10), parse_integer(parts[-1], base=10)
    if hard != -1:
        if soft == -1:
            raise ValueError(
                f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
            )
        if soft > hard:
            raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def join_ulimits(ulimits: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """Return the limits by their names; the last one of each name counts."""
    by_name = {str(one["Name"]): one for one in ulimits}
    return [by_name[name] for name in sorted(by_name)]


def parse_weight_device(text: str) -> dict[str, object]:
    """Read ``PATH:WEIGHT``, an entry of ``HostConfig.BlkioWeightDevice``; ValueError, in docker's words."""
    path, weight_text = _split_device(text)
    try:
        weight = parse_unsigned(weight_text, base=10, bits=16)
    except ValueError:
        weight = None
    if weight is None or (weight != 0 and not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": weight}


def parse_byte_rate(text: str) -> dict[str, object]:
    """Read ``PATH:SIZE``, bytes a second; ValueError, in docker's words."""
    path, rate = _split_device(text)
    try:
        return {"Path": path, "Rate": parse_size(rate)}
    except ValueError:
        raise ValueError(f"invalid rate for device: {text}. {_SIZE_RULE}") from None


def parse_operation_rate(text: str) -> dict[str, object]:
    """Read ``PATH:NUMBER``, operations a second; ValueError, in docker's words."""
    path, rate = _split_device(text)
    try:
        return {"Path": path, "Rate": parse_unsigned(rate, base=10)}
    except ValueError:
        raise ValueError(f"invalid rate for device: {text}. {_COUNT_RULE}") from None


def _split_device(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not (path and colon and value):
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value
