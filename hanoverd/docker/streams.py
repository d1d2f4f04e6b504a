"""Reads the engine's streams of output and of events (Docker Engine API) with little memory, whatever they say.

docker-py's own readers take a whole frame or event into memory, and parse an event again with each piece of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hanoverd.docker.api import Event
from hanoverd.runtime.errors import EngineError, OperationFailed
from hanoverd.text.escapes import escaped_line

#: How much is read at once, in bytes.
PIECE = 64 * 1024

#: The longest event, in bytes: one has a line of output or the progress of a layer.
LONGEST_EVENT = 1024 * 1024

#: How much of an event that is too long is shown, in bytes.
_SHOWN = 1000

#: The header of a frame: the number of the stream, three zeros, and the length (Docker Engine API, "Stream format").
_HEADER = 8


def frames(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the output in a multiplexed stream, in pieces; ``read`` returns at most so many bytes, none at the end."""
    while len(header := read(_HEADER)) == _HEADER:
        left = int.from_bytes(header[4:])
        while left:
            piece = read(min(left, PIECE))
            if not piece:
                return
            left -= len(piece)
            yield piece


def events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events in a stream of JSON objects, each of which ends with a line.

    Fails with ``OperationFailed`` for one that is too long: it can be an error with what a registry answered. Fails with
    ``EngineError`` for one that is not JSON.
    """
    begun: list[bytes] = []
    size = 0
    for piece in pieces:
        *lines, rest = piece.split(b"\n")
        for line in lines:
            yield from _parse(b"".join([*begun, line]))
            begun, size = [], 0
        begun.append(rest)
        size += len(rest)
        if size > LONGEST_EVENT:
            raise _too_long(begun[0])
    yield from _parse(b"".join(begun))


def _parse(line: bytes) -> Iterator[Event]:
    """Yield the objects in a line, usually one."""
    if len(line) > LONGEST_EVENT:
        raise _too_long(line)
    text = line.decode(errors="replace").strip()
    while text:
        try:
            event: Any
            event, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            raise EngineError("the engine sent an event that is not JSON") from None
        if isinstance(event, dict):
            yield event
        text = text[end:].lstrip()


def _too_long(line: bytes) -> OperationFailed:
    start = escaped_line(line[:_SHOWN].decode(errors="replace"))
    return OperationFailed(
        f"the engine sent an event of more than {LONGEST_EVENT // 1024} KiB, which begins with {start}"
    )


_DECODER = json.JSONDecoder()
