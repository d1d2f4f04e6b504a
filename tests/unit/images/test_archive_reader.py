"""Limits of reading: how fast an archive must come."""

from __future__ import annotations

import hashlib

import pytest
from twisted.internet.task import Clock

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_reader import PATIENCE, PackedReader


class Slow:
    """A stream that sends a piece after each pause."""

    def __init__(self, clock: Clock, seconds: float, piece: bytes) -> None:
        self._clock = clock
        self._seconds = seconds
        self._piece = piece

    def read(self, size: int, /) -> bytes:
        self._clock.advance(self._seconds)
        return self._piece[:size]


def test_an_archive_that_comes_too_slowly_is_given_up() -> None:
    clock = Clock()
    reader = PackedReader(Slow(clock, 1.0, b"x" * 1000), 10**9, Abort(), clock.seconds)
    while clock.seconds() < PATIENCE:
        reader.read(100_000)
    with pytest.raises(ValueError, match=r"it comes too slowly: 59\.6KiB in 61 s, which is less than 1KiB a second"):
        reader.read(100_000)
    assert clock.seconds() == PATIENCE + 1


def test_the_time_that_the_engine_takes_does_not_count() -> None:
    clock = Clock()
    reader = PackedReader(Slow(clock, 0.1, b"x" * 1000), 10**9, Abort(), clock.seconds)
    for _ in range(1000):
        assert len(reader.read(100_000)) == 1000
        clock.advance(60.0)


def test_the_digest_is_that_of_all_bytes() -> None:
    reader = PackedReader(Slow(Clock(), 0, b"ab"), 10, Abort())
    assert reader.peek(3) == b"aba"
    assert [reader.read(1), reader.read(10), reader.read(10)] == [b"a", b"bab", b"ab"]
    assert (reader.digest, reader.count) == (hashlib.sha256(b"ababab").hexdigest(), 6)
    assert reader.read(2) == b"ab"
    assert reader.read(2) == b"ab"
    with pytest.raises(ValueError, match="it has more than 10B"):
        reader.read(2)
