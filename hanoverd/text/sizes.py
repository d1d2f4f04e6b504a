"""Sizes as text, as Docker's command line reads them (go-units' ``RAMInBytes``)."""

from __future__ import annotations

import re

_SIZE = re.compile(
    r"(?P<number>\+?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) ?"
    r"(?:(?P<power>[kmgtp])(?:i?b)?|b)?",
    re.IGNORECASE,
)
_POWERS = "kmgtp"
_MOST_BYTES = 2**63 - 1


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``512m``, ``1.5GiB`` or ``4096``; all units are powers of 1024.

    ValueError, in docker's words, also for a size of more than 64 bits.
    """
    found = _SIZE.fullmatch(text)
    number = float(found["number"]) if found else float("inf")
    if found and found["power"]:
        number *= 1024.0 ** (_POWERS.index(found["power"].lower()) + 1)
    if number > _MOST_BYTES:
        raise ValueError(f"invalid size: '{text}'")
    return int(number)


def format_size(size: int) -> str:
    """Return a size for people, with at most one decimal: ``512B``, ``1.5MiB``, ``10GiB``."""
    power = 0
    number = float(size)
    while number >= 1024 and power < len(_POWERS):
        number /= 1024
        power += 1
    unit = f"{_POWERS[power - 1].upper()}iB" if power else "B"
    return f"{number:.1f}".removesuffix(".0") + unit
