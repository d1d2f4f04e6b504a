"""Durations as text, as Docker's command line reads them (Go's ``time.ParseDuration``)."""

from __future__ import annotations

import re

from hanoverd.text.quoting import quoted

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, the micro sign
    "μs": 10**3,  # U+03BC, the Greek letter: Go accepts both
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_UNITS = "ns, us, ms, s, m and h"

#: One number, with the text up to the next one: that has to be a unit.
_TERM = re.compile(r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)(?P<unit>[^0-9.]*)")

#: Docker's whole numbers: decimal, or in the base of their prefix; a leading 0 alone means octal.
_INTEGER = re.compile(r"[+-]?(?:(?P<octal>0[0-7]+)|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[1-9][0-9]*|0)")

#: Go's durations are 64 bits of nanoseconds; the engine's whole seconds are 32 bits.
_MOST_NANOSECONDS = 2**63 - 1
#: The longest duration, in seconds.
MOST_SECONDS = _MOST_NANOSECONDS // 10**9
_MOST_WHOLE_SECONDS = 2**31 - 1


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``1m30s``, ``500ms``, ``-1.5h`` or ``0``.

    ValueError, in Go's words and with what to write.
    """
    return parse_nanoseconds(text) / 10**9


def parse_nanoseconds(text: str) -> int:
    """Return the nanoseconds of a duration; see ``parse_duration``."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    nanoseconds = 0
    position = 0
    while position < len(unsigned) or not unsigned:
        term = _TERM.match(unsigned, position)
        if term is None:
            raise _invalid(text)
        nanoseconds += _term_nanoseconds(text, term["number"], term["unit"])
        position = term.end()
    if nanoseconds > _MOST_NANOSECONDS:
        raise _invalid(text)
    return -nanoseconds if text[0] == "-" else nanoseconds


def parse_whole_seconds(text: str) -> int:
    """Return the seconds of ``10``, or of a duration such as ``10s`` or ``1m``; -1 means no limit.

    ValueError for other text, for fractions of a second, and for less than -1.
    """
    integer = _INTEGER.fullmatch(text)
    if integer:
        seconds = int(text, 8 if integer["octal"] else 0)
        if abs(seconds) > _MOST_WHOLE_SECONDS:
            raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    else:
        try:
            exact = parse_duration(text)
        except ValueError:
            raise ValueError(
                f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax (write whole seconds, as in 10s)"
            ) from None
        if not exact.is_integer():
            raise ValueError(f"{quoted(text)} is not a whole number of seconds (write 10, 10s or 1m)")
        if abs(exact) > _MOST_WHOLE_SECONDS:
            raise ValueError(f"{quoted(text)} is out of range (-1 means no limit)")
        seconds = int(exact)
    if seconds < -1:
        raise ValueError(f"{quoted(text)} is negative (write -1 for no limit)")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration for people, with about three digits: ``340ms``, ``1.2s``, ``1m30s``, ``2h5m``."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s" if seconds == 0 else "<1ms"
    tenths = round(seconds * 10)
    if tenths < 600:
        return f"{tenths / 10:g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes}m" if minutes else f"{hours}h"


def _term_nanoseconds(text: str, number: str, unit: str) -> int:
    if not unit:
        advice = f"write {number}s for seconds, {number}m for minutes"
        raise ValueError(f"time: missing unit in duration {quoted(text)} ({advice})")
    if unit not in _NANOSECONDS:
        raise ValueError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)} (the units are {_UNITS})")
    whole, _, fraction = number.partition(".")
    nanoseconds = _NANOSECONDS[unit]
    scale = int("1" + "0" * len(fraction))
    return int(whole or "0") * nanoseconds + int(fraction or "0") * nanoseconds // scale


def _invalid(text: str) -> ValueError:
    return ValueError(f"time: invalid duration {quoted(text)} (write numbers with units, as in 1m30s or 500ms)")
