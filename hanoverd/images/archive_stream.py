"""Repacks an archive of an image as it is read, as a plain tar that all engines load, and that names nothing but our image.

Engines give images all the names that an archive lists, and take them away from other images. So the files with names stay
here, and the tar gets a ``manifest.json`` of its own. All that reaches the engine are files with checked names.
"""

from __future__ import annotations

import hashlib
import heapq
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_manifest import (
    DOCKER,
    MAX_JSON,
    NAMING,
    File,
    Files,
    SavedImage,
    blob_digest,
    clean_name,
    link_target,
    saved_image,
    shown,
)
from hanoverd.images.archive_reader import PackedReader, UnpackedReader
from hanoverd.images.compression import DAMAGED, MAGIC_SIZE, decompressed
from hanoverd.images.tar_reader import Entry, Kind, Readable, TarReader
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.spec.image_name import ImageName, built_name
from hanoverd.spec.source import MAX_ARCHIVE_SIZE

#: How much of the JSON files is kept until the end of the archive, in bytes: only the end says which of them are needed.
MAX_KEPT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """The archive to read: ``shown`` in messages, the ``app`` that it is for, the digest that it must have, and the most
    bytes that it may have, also unpacked.
    """

    shown: str
    app: str
    digest: str | None = None
    max_size: int = MAX_ARCHIVE_SIZE


@dataclass
class Contents:
    """The contents of an archive, known when it has been read, and its version, if it has one."""

    image: SavedImage | None = None
    name: ImageName | None = None
    version: str | None = None


def repacked(stream: Readable, wanted: Wanted, contents: Contents, abort: Abort) -> Iterator[bytes]:
    """Yield the archive in ``stream`` as a plain tar, in pieces, and fill in ``contents``.

    The image gets the name that hanoverd's builds for the app have, with the tag that the archive has for it. Raises
    ``ObtainFailed`` if it is not an archive of one image, if it goes beyond a limit, or if a digest is wrong. That is known
    before the end of the tar, and an engine loads nothing before the end. Raises ``EngineUnreachable`` after ``abort`` was
    requested.
    """
    try:
        yield from _repacked(stream, wanted, contents, abort)
    except DAMAGED as error:
        abort.check()
        raise ObtainFailed(f"the archive {wanted.shown} is damaged or incomplete: {error}") from None
    except ValueError as error:
        raise ObtainFailed(f"the archive {wanted.shown} cannot be used: {error}") from None
    yield bytes(2 * tarfile.BLOCKSIZE)


def _repacked(stream: Readable, wanted: Wanted, contents: Contents, abort: Abort) -> Iterator[bytes]:
    packed = PackedReader(stream, wanted.max_size, abort)
    plain = UnpackedReader(decompressed(packed, packed.peek(MAGIC_SIZE)), packed, wanted.max_size, abort)
    files = yield from _files(TarReader(plain))
    plain.drain()
    packed.drain()
    if wanted.digest is not None and packed.digest != wanted.digest:
        raise ObtainFailed(
            f"the archive {wanted.shown} has the wrong digest: sha256:{packed.digest} instead of sha256:{wanted.digest}"
        )
    image = saved_image(files)
    name = built_name(wanted.app, image.tag)
    manifest = image.manifest(name)
    yield _header(DOCKER, len(manifest)) + manifest + bytes(-len(manifest) % tarfile.BLOCKSIZE)
    contents.image, contents.name = image, name


def _files(tar: TarReader) -> Generator[bytes, None, Files]:
    """Yield the files of the tar that the engine needs, and return all."""
    found = Files()
    texts = _Texts()
    while (entry := tar.next()) is not None:
        if entry.kind is Kind.FOLDER:
            # Engines create the folders of files.
            continue
        name = clean_name(entry.name)
        if name in found.files or name in found.links:
            raise ValueError(f"it has the file {shown(name)} twice")
        if entry.kind is Kind.FILE:
            found.files[name] = yield from _file(tar, entry, name, texts)
        else:
            is_symbolic = entry.kind is Kind.SYMBOLIC_LINK
            found.links[name] = link_target(name, entry.target) if is_symbolic else clean_name(entry.target)
    found.texts = texts.texts
    return found


def _file(tar: TarReader, entry: Entry, name: str, texts: _Texts) -> Generator[bytes, None, File]:
    """Yield a file, unless it names images, and return its digest, which was checked if it is a blob."""
    is_sent = name not in NAMING
    blob = blob_digest(name)
    digest = hashlib.sha256()
    other = hashlib.new(blob[0]) if blob and blob[0] != "sha256" else digest
    kept: list[bytes] = []
    if is_sent:
        yield _header(name, entry.size)
    for number, piece in enumerate(tar.content()):
        digest.update(piece)
        if other is not digest:
            other.update(piece)
        if entry.size <= MAX_JSON and (kept or (not number and piece.lstrip()[:1] in (b"{", b"["))):
            kept.append(piece)
        if is_sent:
            yield piece
    if is_sent:
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    if blob and other.hexdigest() != blob[1]:
        raise ValueError(f"the digest of {shown(name)} is wrong: it is {blob[0]}:{other.hexdigest()}")
    if kept:
        texts.add(name, b"".join(kept))
    return File(entry.size, digest.hexdigest())


def _header(name: str, size: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


class _Texts:
    """Keeps the contents of JSON files, ``MAX_KEPT`` bytes at most: the largest make room for others.

    The manifest and the configuration of an image are small; lists of its packages, which may be beside them, are large.
    """

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self._by_size: list[tuple[int, str]] = []
        self._size = 0

    def add(self, name: str, text: bytes) -> None:
        """Keep a text, at least until the next one comes."""
        self.texts[name] = text
        heapq.heappush(self._by_size, (-len(text), name))
        self._size += len(text)
        while self._size > MAX_KEPT:
            _, largest = heapq.heappop(self._by_size)
            self._size -= len(self.texts.pop(largest))
