"""Compressed archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
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


def test_without_the_library_the_error_names_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ObtainFailed, match=r"pip install 'hanoverd\[zstd\]'"):
        read(zstandard.ZstdCompressor().compress(CONTENT))
