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

#: The memory that a decompressor may use, in bytes: the file says how much it needs. ``xz -9`` makes files that need 65 MiB,
#: ``zstd --ultra -22`` 128 MiB.
MAX_MEMORY = 128 * 1024 * 1024

_PIECE = 64 * 1024


def decompressed(stream: Any, magic: bytes) -> IO[bytes]:
    """Return ``stream`` decompressed, or unchanged if it is not compressed; ``magic`` are its first bytes, which it still
    contains.

    Reading fails with one of ``DAMAGED``, also if decompressing it needs more than ``MAX_MEMORY``. Fails with
    ``MissingExtra`` if the library for the format is not installed.
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
    return _XzReader(stream)  # type: ignore[return-value]  # as above


class _XzReader(io.RawIOBase):
    """Decompresses an xz file, or several in a row, with a limit of memory, which ``lzma.LZMAFile`` does not have."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decompressor = _xz_decompressor()
        self._input = b""

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes, all if it is negative."""
        if size < 0:
            return self.readall()
        while size:
            if self._decompressor.eof:
                self._input = self._next_file(self._decompressor.unused_data)
                if not self._input:
                    return b""
                self._decompressor = _xz_decompressor()
            if not self._input and self._decompressor.needs_input:
                self._input = self._stream.read(_PIECE)
                if not self._input:
                    raise EOFError("the compressed file is incomplete")
            piece = self._decompressor.decompress(self._input, size)
            self._input = b""
            if piece:
                return piece
        return b""

    def _next_file(self, following: bytes) -> bytes:
        """Return what follows the zeros that may be between two files ("Stream Padding" in the description of the format)."""
        while not (begun := following.lstrip(b"\0")):
            following = self._stream.read(_PIECE)
            if not following:
                break
        return begun


def _xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)


def _zstandard(stream: Any) -> IO[bytes]:
    Extra.ZSTD.check()
    import zstandard  # noqa: PLC0415  # an extra

    class Reader(io.RawIOBase):
        """Reports a damaged file as OSError: zstandard's own error exists only where it is installed."""

        def __init__(self) -> None:
            decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_MEMORY)
            self._reader = decompressor.stream_reader(stream, read_across_frames=True)

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
