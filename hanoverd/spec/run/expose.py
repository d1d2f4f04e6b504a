"""Ports that a container exposes without publishing them: ``--expose``."""

from __future__ import annotations

from hanoverd.text.numbers import parse_unsigned

#: A port is a number of 16 bits.
_BITS = 16


def parse_expose(text: str) -> tuple[str, ...]:
    """Read ``PORT[-PORT][/PROTOCOL]``, and return the keys of ``Config.ExposedPorts``; ValueError, in docker's words."""
    if ":" in text:
        raise ValueError(f"invalid port format for --expose: {text}")
    ports, _, protocol = text.partition("/")
    try:
        first, last = _range(ports)
    except ValueError as error:
        raise ValueError(f"invalid range format for --expose: {text}, error: {error}") from None
    return tuple(f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1))


def _range(text: str) -> tuple[int, int]:
    if not text:
        raise ValueError("empty string specified for ports")
    start, dash, end = text.partition("-")
    first = parse_unsigned(start, base=10, bits=_BITS)
    last = parse_unsigned(end, base=10, bits=_BITS) if dash else first
    if last < first:
        raise ValueError(f"invalid range specified for port: {text}")
    return first, last
