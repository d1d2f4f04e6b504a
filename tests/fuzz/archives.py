"""Archives of images: the headers of the tar, and the JSON files in it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import tracemalloc

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_stream import Contents, Wanted, repacked
from hanoverd.runtime.errors import ObtainFailed
from tests.fuzz.target import Target

_BLOCK = tarfile.BLOCKSIZE

#: A tar has this at this place of each header, and the checksum of the header at the other one (tar(5)).
_MAGIC, _MAGIC_AT, _CHECKSUM_AT = b"ustar", 257, 148

#: What repacking may need, and may return, for an input of at most a few KiB, in bytes.
_MOST_MEMORY, _MOST_OUTPUT = 64 * 1024 * 1024, 16 * 1024 * 1024


def _with_checksums(data: bytes) -> bytes:
    """Return a tar whose headers have the right checksums: a reader ignores everything after a wrong one."""
    blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)]
    return b"".join(_with_checksum(block) if block[_MAGIC_AT:].startswith(_MAGIC) else block for block in blocks)


def _with_checksum(block: bytes) -> bytes:
    if len(block) < _BLOCK:
        return block
    head, tail = block[:_CHECKSUM_AT], block[_CHECKSUM_AT + 8 :]
    return head + b"%06o\0 " % (sum(head) + 8 * ord(" ") + sum(tail)) + tail


def _of_files(data: bytes) -> bytes:
    """Return an archive with the JSON files in ``data``, which are separated by zero bytes.

    The last one is its index. The others are blobs, and ``@0`` in a later file is the digest of the first.
    """
    *blobs, index = data.split(b"\0")[:20]
    digests: list[bytes] = []
    buffer = io.BytesIO()

    def filled(text: bytes) -> bytes:
        return re.sub(rb"@(\d)", lambda at: digests[int(at[1])] if int(at[1]) < len(digests) else at[0], text)

    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for blob in blobs:
            digests.append(hashlib.sha256(filled(blob)).hexdigest().encode())
            _add(tar, f"blobs/sha256/{digests[-1].decode()}", filled(blob))
        _add(tar, "manifest.json" if index.startswith(b"[") else "index.json", filled(index))
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _repack(archive: bytes) -> tuple[bytes, Contents]:
    contents = Contents()
    output = bytearray()
    tracemalloc.start()
    try:
        for piece in repacked(io.BytesIO(archive), Wanted("x.tar", "fuzz"), contents, Abort()):
            output += piece
            assert len(output) < _MOST_OUTPUT, f"{len(archive)} bytes become {len(output)}"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < _MOST_MEMORY, f"{len(archive)} bytes need {peak} bytes of memory"
    return bytes(output), contents


def _check(_: bytes, result: tuple[bytes, Contents]) -> None:
    output, contents = result
    with tarfile.open(fileobj=io.BytesIO(output), mode="r:") as tar:
        names = tar.getnames()
        assert len(set(names)) == len(names), names
        assert names[-1] == "manifest.json", names
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        [image] = json.load(manifest)
    assert not {"index.json", "oci-layout", "repositories"} & set(names), names
    assert contents.image is not None
    assert contents.name is not None
    assert contents.name.repository == "hanoverd/fuzz"
    assert image["RepoTags"] == [contents.name.reference]
    assert {image["Config"], *image["Layers"]} <= set(names), names


ARCHIVE = Target(
    "archive",
    lambda data: _repack(_with_checksums(data)),
    _check,
    refusals=(ObtainFailed,),
    words=("ustar\00000", "ustar  \0", "manifest.json", "index.json", "././@LongLink", "path=", "GNU.sparse.", "size="),
    longest=16 * 1024,
)

MANIFEST = Target(
    "archive-manifest",
    lambda data: _repack(_of_files(data)),
    _check,
    refusals=(ObtainFailed,),
    words=(
        *('"manifests":', '"digest":"sha256:@0"', '"layers":', '"config":', '"platform":', '"annotations":', "\0"),
        *('"Config":', '"RepoTags":', '"Layers":', '"os":"linux"', '"architecture":"amd64"', "blobs/sha256/@0"),
    ),
)
