"""Streams with limits, for archives that come from others: how much is read, how fast, and how much it is unpacked."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from typing import Any

from hanoverd.docker.abort import Abort
from hanoverd.images.tar_reader import Readable
from hanoverd.text.sizes import format_size

#: How many times as large as the compressed archive the unpacked one may be, if it is larger than ``FREE_SIZE`` bytes.
#: Programs and libraries are compressed to a half or a tenth.
MAX_RATIO, FREE_SIZE = 100, 256 * 1024 * 1024

#: How many bytes a second must come on average, once the waits for them add up to ``PATIENCE`` seconds.
MIN_RATE, PATIENCE = 1024, 60.0

_PIECE = 64 * 1024


class PackedReader(io.RawIOBase):
    """Reads the archive as it is stored: at most ``most`` bytes, and not too slowly. Computes its SHA-256.

    Reading raises ValueError beyond the limits, and ``EngineUnreachable`` after ``abort`` was requested.
    """

    def __init__(self, stream: Readable, most: int, abort: Abort, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._most = most
        self._abort = abort
        self._clock = clock
        self._waited = 0.0
        self._ahead = b""
        self._hash = hashlib.sha256()
        #: How many bytes were read.
        self.count = 0

    @property
    def digest(self) -> str:
        """The SHA-256 of what was read, in hexadecimal digits."""
        return self._hash.hexdigest()

    def readable(self) -> bool:
        """Return True."""
        return True

    def peek(self, size: int) -> bytes:
        """Return the next bytes, without consuming them."""
        while len(self._ahead) < size and (piece := self._read(size)):
            self._ahead += piece
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes, all if it is negative."""
        if size < 0:
            return self.readall()
        if self._ahead:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            return piece
        return self._read(size)

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``, and return the number of bytes."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def drain(self) -> None:
        """Read the rest: the digest includes the bytes after the end of the tar."""
        while self.read(_PIECE):
            pass

    def _read(self, size: int) -> bytes:
        self._abort.check()
        begun = self._clock()
        piece = self._stream.read(size)
        self._waited += self._clock() - begun
        self._hash.update(piece)
        self.count += len(piece)
        _check_size(self.count, self._most)
        if self._waited > PATIENCE and self.count < self._waited * MIN_RATE:
            raise ValueError(
                f"it comes too slowly: {format_size(self.count)} in {self._waited:.0f} s, which is less than "
                f"{format_size(MIN_RATE)} a second"
            )
        return piece


class UnpackedReader:
    """Reads the archive after it was decompressed from ``packed``: at most ``most`` bytes, and at most ``MAX_RATIO`` times as
    many as were read from ``packed``. Reading raises as for ``PackedReader``.
    """

    def __init__(self, stream: Readable, packed: PackedReader, most: int, abort: Abort) -> None:
        self._stream = stream
        self._packed = packed
        self._most = most
        self._abort = abort
        self._count = 0

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes."""
        self._abort.check()
        piece = self._stream.read(min(size, _PIECE))
        self._count += len(piece)
        _check_size(self._count, self._most)
        if self._count > max(FREE_SIZE, self._packed.count * MAX_RATIO):
            raise ValueError(
                f"{format_size(self._packed.count)} of it become {format_size(self._count)}, which is more than "
                f"{MAX_RATIO} times as much: if you trust it, decompress it first"
            )
        return piece

    def drain(self) -> None:
        """Read the rest, which is padding: the checksum of a compressed archive is at its end."""
        while self.read(_PIECE):
            pass


def _check_size(count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"it has more than {format_size(most)}: see --archive-max-size")
