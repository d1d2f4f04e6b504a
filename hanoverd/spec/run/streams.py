"""Streams of a container: ``--attach``."""

from __future__ import annotations

_STREAMS = ("stdin", "stdout", "stderr")


def parse_stream(text: str) -> str:
    """Return the name of a stream in lower case; ValueError, in docker's words."""
    stream = text.lower()
    if stream not in _STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return stream
