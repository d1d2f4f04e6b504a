"""Sizes as text, as Docker's command line reads them (go-units' ``RAMInBytes``)."""

from __future__ import annotations

import re

from hanoverd.text.numbers import parse_float

_SUFFIX = re.compile(r"(?:(?P<power>[kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_LONGEST_SUFFIX = 3
_POWERS = "kmgtp"
_MOST_BYTES = 2**63 - 1


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``512m``, ``1.5GiB`` or ``4096``; all units are powers of 1024.

    ValueError, in docker's words, also for a size of more than 64 bits.
    """
    parts = _split(text)
    if parts is None:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = parts
    size = parse_float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    found = _SUFFIX.fullmatch(suffix)
    if found is None:
        raise ValueError(f"invalid suffix: '{suffix if len(suffix) > _LONGEST_SUFFIX else suffix.lower()}'")
    if found["power"]:
        size *= 1024.0 ** (_POWERS.index(found["power"].lower()) + 1)
    if size > _MOST_BYTES:
        raise ValueError(f"invalid size: '{text}' (it is too large)")
    return int(size)


def _split(text: str) -> tuple[str, str] | None:
    """Return the number and the suffix: the number ends with the last digit, dot or space, and the space is dropped."""
    end = max(text.rfind(char) for char in "0123456789. ")
    if end < 0:
        return None
    return (text[:end] if text[end] == " " else text[: end + 1]), text[end + 1 :]


def format_size(size: int) -> str:
    """Return a size for people, with at most one decimal: ``512B``, ``1.5MiB``, ``10GiB``."""
    power = 0
    number = float(size)
    while number >= 1024 and power < len(_POWERS):
        number /= 1024
        power += 1
    unit = f"{_POWERS[power - 1].upper()}iB" if power else "B"
    return f"{number:.1f}".removesuffix(".0") + unit
