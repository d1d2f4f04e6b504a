"""Compressed archives: gzip, bzip2, xz and Zstandard (with zstandard: the only module that imports it)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any

from hanoverd.runtime.extras import Extra

#: What reading a damaged file raises.
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)

#: How many of a file's first bytes ``decompressed`` needs.
MAGIC_SIZE = 8


def decompressed(stream: Any, magic: bytes) -> IO[bytes]:
    """Return ``stream`` decompressed, or unchanged if it is not compressed; ``magic`` are its first bytes, which it still
    contains.

    Reading fails with one of ``DAMAGED``. Fails with ``MissingExtra`` if the library for the format is not installed.
    """
    for start, decompress in _FORMATS:
        if magic.startswith(start):
            return decompress(stream)
    unchanged: IO[bytes] = stream
    return unchanged


def _gzip(stream: Any) -> IO[bytes]:
    return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # it has all of IO[bytes] that is used


def _bz2(stream: Any) -> IO[bytes]:
    return bz2.BZ2File(stream)


def _lzma(stream: Any) -> IO[bytes]:
    return lzma.LZMAFile(stream)


def _zstandard(stream: Any) -> IO[bytes]:
    Extra.ZSTD.check()
    import zstandard  # noqa: PLC0415  # an extra

    class Reader(io.RawIOBase):
        """Reports a damaged file as OSError: zstandard's own error exists only where it is installed."""

        def __init__(self) -> None:
            self._reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)

        def read(self, size: int = -1) -> bytes:
            """Return at most ``size`` bytes."""
            try:
                return self._reader.read(size)
            except zstandard.ZstdError as error:
                raise OSError(str(error)) from None

    return Reader()  # type: ignore[return-value]  # as above


#: The first bytes of each format.
_FORMATS: tuple[tuple[bytes, Callable[[Any], IO[bytes]]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"\x28\xb5\x2f\xfd", _zstandard),
    (b"BZh", _bz2),
    (b"\xfd7zXZ\x00", _lzma),
)
