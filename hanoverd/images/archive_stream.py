"""Repacks an archive of an image as it is read, as a plain tar that all engines load."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from hanoverd.docker.abort import Abort
from hanoverd.docker.build_context import PIECE
from hanoverd.images.compression import DAMAGED, MAGIC_SIZE, decompressed
from hanoverd.runtime.errors import ObtainFailed

#: The largest JSON file that is read, in bytes; layers are larger.
_MAX_JSON = 4 * 1024 * 1024

_DOCKER, _OCI = "manifest.json", "index.json"

#: The annotations with an image's name in an OCI archive: containerd's (a full name), and the OCI image specification's.
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass
class Contents:
    """The contents of an archive, known when it has been read: the image's ID and name, and the version of the archive; None
    if it has none.
    """

    image_id: str | None = None
    tag: str | None = None
    version: str | None = None


def repacked(stream: IO[bytes], shown: str, digest: str | None, contents: Contents, abort: Abort) -> Iterator[bytes]:
    """Yield the archive in ``stream`` as a plain tar, in pieces, and fill in ``contents``; messages call it ``shown``.

    Raises ``ObtainFailed`` if it is not an archive of one image, or if its SHA-256 is not ``digest``. That is known
    before the end of the tar, and an engine loads nothing before the end.
    """
    hashing = _HashingReader(stream)
    try:
        plain = decompressed(hashing, hashing.peek(MAGIC_SIZE))
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            files = yield from _members(tar, abort)
        yield from _manifest(files, shown, contents)
        hashing.drain()
    except (tarfile.TarError, *DAMAGED) as error:
        abort.check()
        raise ObtainFailed(f"the archive {shown} is damaged or incomplete: {error}") from None
    if digest is not None and hashing.digest != digest:
        raise ObtainFailed(
            f"the archive {shown} has the wrong digest: sha256:{hashing.digest} instead of sha256:{digest}"
        )
    yield bytes(2 * tarfile.BLOCKSIZE)


def _members(tar: tarfile.TarFile, abort: Abort) -> Generator[bytes, None, dict[str, bytes]]:
    """Yield all members of the tar, and return the JSON files among them."""
    files: dict[str, bytes] = {}
    for member in tar:
        abort.check()
        yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            continue
        kept: list[bytes] = []
        while piece := content.read(PIECE):
            abort.check()
            yield piece
            if member.size <= _MAX_JSON:
                kept.append(piece)
        yield bytes(-member.size % tarfile.BLOCKSIZE)
        text = b"".join(kept)
        if text[:1] in (b"{", b"["):
            files[member.name.removeprefix("./")] = text
    return files


def _manifest(files: Mapping[str, bytes], shown: str, contents: Contents) -> Iterator[bytes]:
    """Fill in ``contents``, and yield the file ``manifest.json`` that older engines need in an OCI archive."""
    try:
        if _DOCKER in files:
            manifest = json.loads(files[_DOCKER])
        elif _OCI in files:
            manifest = _from_oci(files, shown)
            text = json.dumps(manifest).encode()
            header = tarfile.TarInfo(_DOCKER)
            header.size = len(text)
            yield header.tobuf() + text + bytes(-len(text) % tarfile.BLOCKSIZE)
        else:
            raise ObtainFailed(f"{shown} is not an archive of an image: it has neither {_DOCKER} nor {_OCI}")
        if len(manifest) != 1:
            names = ", ".join(str((image.get("RepoTags") or ["?"])[0]) for image in manifest)
            raise ObtainFailed(f"the archive {shown} has {len(manifest)} images ({names}): save only one image")
        contents.image_id = f"sha256:{hashlib.sha256(files[manifest[0]['Config']]).hexdigest()}"
        contents.tag = (manifest[0].get("RepoTags") or [None])[0]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ObtainFailed(f"{shown} is not an archive of an image: {type(error).__name__} {error}") from None


def _from_oci(files: Mapping[str, bytes], shown: str) -> list[dict[str, Any]]:
    """Return the ``manifest.json`` of ``docker save`` for an OCI archive (OCI image layout specification)."""
    images = []
    for found in json.loads(files[_OCI])["manifests"]:
        descriptor = found
        blob = json.loads(files[_blob(descriptor)])
        while "manifests" in blob:
            # An index of images for several platforms; an entry without one is an attestation.
            matching = [one for one in blob["manifests"] if _is_for_this_host(one.get("platform") or {})]
            if not matching:
                raise ObtainFailed(f"the archive {shown} has no image for this host's architecture ({_architecture()})")
            descriptor = matching[0]
            blob = json.loads(files[_blob(descriptor)])
        names = [found.get("annotations", {}).get(key) for key in _NAMES]
        full_names = [name for name in names if name and (":" in name or "/" in name)]
        layers = [_blob(layer) for layer in blob["layers"]]
        images.append({"Config": _blob(blob["config"]), "RepoTags": full_names[:1] or None, "Layers": layers})
    return images


def _blob(descriptor: Mapping[str, Any]) -> str:
    algorithm, _, value = str(descriptor["digest"]).partition(":")
    return f"blobs/{algorithm}/{value}"


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _is_for_this_host(wanted: Mapping[str, Any]) -> bool:
    return wanted.get("os") == "linux" and wanted.get("architecture") == _architecture()


class _HashingReader(io.RawIOBase):
    """Reads a stream, and computes the digest of all that was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead = b""
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256, in hexadecimal digits."""
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
        if self._ahead:
            end = len(self._ahead) if size < 0 else size
            piece, self._ahead = self._ahead[:end], self._ahead[end:]
            return piece
        return self._read(size)

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``, and return the number of bytes."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def drain(self) -> None:
        """Read the rest: the digest includes the bytes after the end of the tar."""
        while self.read(PIECE):
            pass

    def _read(self, size: int) -> bytes:
        piece = self._stream.read(size) if size >= 0 else self._stream.read()
        self._hash.update(piece)
        return piece
