"""Compressed archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import sys
import zlib
from collections.abc import Callable

import pytest
import zstandard

from hanoverd.images.compression import DAMAGED, MAGIC_SIZE, decompressed
from hanoverd.runtime.errors import ObtainFailed

CONTENT = bytes(range(256)) * 1000

FORMATS = pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["gzip", "bzip2", "xz", "zstandard"],
)


def read(data: bytes) -> bytes:
    """Return it decompressed."""
    return decompressed(io.BytesIO(data), data[:MAGIC_SIZE]).read()


@FORMATS
def test_each_format_is_decompressed(compress: Callable[[bytes], bytes]) -> None:
    assert read(compress(CONTENT)) == CONTENT


@FORMATS
def test_a_damaged_file_is_an_error_while_reading(compress: Callable[[bytes], bytes]) -> None:
    data = compress(CONTENT)
    damaged = data[:20] + bytes(byte ^ 0xFF for byte in data[20:])
    with pytest.raises(DAMAGED):
        read(damaged)


def test_a_file_that_is_not_compressed_is_unchanged() -> None:
    assert read(CONTENT) == CONTENT
    assert read(b"") == b""


@FORMATS
def test_files_in_a_row_are_one_file(compress: Callable[[bytes], bytes]) -> None:
    assert read(compress(CONTENT) + compress(b"") + compress(CONTENT)) == CONTENT * 2


@FORMATS
def test_reading_in_small_pieces_makes_no_difference(compress: Callable[[bytes], bytes]) -> None:
    data = compress(CONTENT)
    stream = decompressed(io.BytesIO(data), data[:MAGIC_SIZE])
    pieces = []
    while piece := stream.read(1000):
        assert len(piece) <= 1000
        pieces.append(piece)
    assert b"".join(pieces) == CONTENT


def test_xz_files_may_have_zeros_between_and_after_them() -> None:
    data = lzma.compress(CONTENT)
    assert read(data + bytes(8) + data + bytes(200_000)) == CONTENT * 2
    with pytest.raises(DAMAGED):
        read(data + bytes(8) + b"no file")


def test_an_xz_file_that_needs_gibibytes_of_memory_is_refused() -> None:
    data = bytearray(lzma.compress(CONTENT, preset=0))
    # The header of the first block follows the 12 bytes of the stream's: the size of the dictionary is the third byte of the
    # description of the filter, and a CRC-32 is at the end ("The .xz File Format", 3.1 and 5.3.1).
    begin, size = 12, (data[12] + 1) * 4
    assert data[begin + 2] == 0x21
    data[begin + 4] = 40
    data[begin + size - 4 : begin + size] = struct.pack("<I", zlib.crc32(data[begin : begin + size - 4]))
    with pytest.raises(DAMAGED, match="Memory usage limit exceeded"):
        read(bytes(data))


def test_a_zstandard_file_that_needs_gibibytes_of_memory_is_refused() -> None:
    # A frame with a window of 2 GiB and one raw block of one byte (RFC 8878, 3.1.1).
    window = (31 - 10) << 3
    frame = b"\x28\xb5\x2f\xfd" + bytes([0x00, window]) + (1 << 3 | 1).to_bytes(3, "little") + b"x"
    with pytest.raises(DAMAGED, match="too much memory"):
        read(frame)
    assert read(frame[:5] + bytes([0]) + frame[6:]) == b"x"


@pytest.mark.parametrize("preset", [0, 9])
def test_the_largest_presets_of_xz_are_read(preset: int) -> None:
    assert read(lzma.compress(CONTENT, preset=preset)) == CONTENT


def test_the_highest_level_of_zstandard_is_read() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(22, window_log=27)
    assert read(zstandard.ZstdCompressor(compression_params=parameters).compress(CONTENT)) == CONTENT


def test_without_the_library_the_error_names_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ObtainFailed, match=r"pip install 'hanoverd\[zstd\]'"):
        read(zstandard.ZstdCompressor().compress(CONTENT))
