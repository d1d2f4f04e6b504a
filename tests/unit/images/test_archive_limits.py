"""Archives that would need much memory, disk or time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_stream import Contents, Wanted, repacked
from hanoverd.runtime.errors import EngineUnreachable, ObtainFailed
from tests.unit.images.archives import (
    MIB,
    docker_files,
    gzipped,
    header,
    tar,
)
from tests.unit.images.repacking import refusal, repack


def many_texts(count: int) -> Iterator[bytes]:
    """Yield a tar of JSON files of 4 MiB."""
    for number in range(count):
        yield header(f"{number}.json", 4 * MIB)
        yield b"{" + bytes(4 * MIB - 1)
    yield tar(docker_files("a:v1"))


def peak(data: bytes, **wanted: Any) -> int:
    """Return the most memory, in bytes, that repacking takes."""
    tracemalloc.start()
    try:
        for _ in repacked(io.BytesIO(data), Wanted("app.tar", "web", **wanted), Contents(), Abort()):
            pass
    except ObtainFailed:
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_many_json_files_take_little_memory() -> None:
    # Without the limit, 200 KiB become 200 MiB in memory.
    assert peak(gzipped(many_texts(50))) < 40 * MIB


def test_a_manifest_of_many_values_takes_little_memory() -> None:
    manifest = b"[" + b"{}," * MIB + b"{}]"
    assert '"manifest.json" has more than 100000 values' in refusal(tar({"manifest.json": manifest}))
    assert peak(gzip.compress(tar({"manifest.json": manifest}))) < 30 * MIB


def test_the_size_is_limited_before_and_after_it_is_unpacked() -> None:
    data = tar({**docker_files("a:v1"), "x": bytes(3 * MIB)})
    assert repack(data, max_size=len(data))
    assert "it has more than 2MiB: see --archive-max-size" in refusal(data, max_size=2 * MIB)
    assert "it has more than 2MiB" in refusal(gzip.compress(data), max_size=2 * MIB)
    # Also after the end of the tar.
    assert "it has more than 4MiB" in refusal(data + bytes(4 * MIB), max_size=4 * MIB)
    assert "it has more than 4MiB" in refusal(bz2.compress(data) + bytes(4 * MIB), max_size=4 * MIB)


def test_the_ratio_of_compression_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar({**docker_files("a:v1"), "x": bytes(8 * MIB)})
    for compress in (gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress):
        # Small archives are not limited.
        assert repack(compress(data))
    monkeypatch.setattr("hanoverd.images.archive_reader.FREE_SIZE", 4 * MIB)
    for compress in (gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress):
        assert "which is more than 100 times as much" in refusal(compress(data))
    assert repack(data)


def test_an_abort_ends_the_reading_at_once() -> None:
    abort = Abort()
    pieces = repacked(io.BytesIO(gzipped(many_texts(20))), Wanted("app.tar", "web"), Contents(), abort)
    next(pieces)
    abort.request()
    with pytest.raises(EngineUnreachable, match="aborted"):
        next(pieces)
