"""Streams of a container: ``--attach``."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Stream(StrEnum):
    """A standard stream of a container's process."""

    STDIN = "stdin"
    STDOUT = "stdout"
    STDERR = "stderr"


#: The streams that a container writes to.
OUTPUT = (Stream.STDOUT, Stream.STDERR)


def parse_stream(text: str) -> Stream:
    """Return the stream of this name, in upper or lower case; ValueError, in docker's words."""
    try:
        return Stream(text.lower())
    except ValueError:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR") from None


def output_streams(streams: Collection[Stream]) -> tuple[Stream, ...]:
    """Return which of ``streams`` a container writes to, each once; all for none."""
    return tuple(stream for stream in OUTPUT if stream in streams) or OUTPUT
