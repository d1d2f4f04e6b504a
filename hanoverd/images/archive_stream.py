"""Archives of images as they stream past: unpacked if compressed, OCI archives given what engines want of them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import platform
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from hanoverd.docker.abort import Abort
from hanoverd.docker.build_context import PIECE
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.extras import Extra


class _ZstdReader:
    """Decompresses zstd while it is read; fails with OSError if the data is damaged."""

    def __init__(self, file: IO[bytes]) -> None:
        Extra.ZSTD.check()
        # Late: it may be missing.
        import zstandard  # noqa: PLC0415

        self._error = zstandard.ZstdError
        self._reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""
        try:
            return self._reader.read(size)
        except self._error as error:
            raise OSError(str(error)) from None


#: How a compressed file begins.
_MAGIC: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"\x28\xb5\x2f\xfd", _ZstdReader),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)

#: Up to which size, in bytes, a file in an archive may be one of those that describe the others.
_DESCRIPTION = 4 * 1024 * 1024

_DOCKER, _OCI = "manifest.json", "index.json"

#: In an OCI archive, an image's name (OCI image specification, annotations; containerd's own for a whole name).
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass
class Contents:
    """What an archive was found to hold, once it has passed: the image's ID, and its name if it has one; and which
    version of the archive that was, if anything tells.
    """

    image_id: str | None = None
    tag: str | None = None
    version: str | None = None


def repacked(stream: IO[bytes], shown: str, digest: str | None, contents: Contents, abort: Abort) -> Iterator[bytes]:
    """The archive in ``stream`` as a plain tar that every engine loads, in pieces.

    Raises ``ObtainFailed`` for what is no archive of one image, and, before the end is out, where its bytes are not
    those of ``digest`` (SHA-256): an engine loads nothing before it has seen the end.
    """
    hashing = _Hashing(stream)
    try:
        with tarfile.open(fileobj=_unpacked(hashing), mode="r|") as tar:
            described = yield from _members(tar, abort)
        yield from _manifest(described, shown, contents)
        hashing.drain()
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        abort.check()
        raise ObtainFailed(f"the archive {shown} is damaged, or was cut off: {error}") from None
    if digest is not None and hashing.digest != digest:
        raise ObtainFailed(
            f"the archive {shown} is not the one that is meant: its digest is sha256:{hashing.digest}, not sha256:{digest}"
        )
    yield bytes(2 * tarfile.BLOCKSIZE)


def _members(tar: tarfile.TarFile, abort: Abort) -> Generator[bytes, None, dict[str, bytes]]:
    """Pass on all members; returns those that describe the others."""
    described: dict[str, bytes] = {}
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
            if member.size <= _DESCRIPTION:
                kept.append(piece)
        yield bytes(-member.size % tarfile.BLOCKSIZE)
        text = b"".join(kept)
        if text[:1] in (b"{", b"["):
            described[member.name.removeprefix("./")] = text
    return described


def _manifest(described: Mapping[str, bytes], shown: str, contents: Contents) -> Iterator[bytes]:
    """Say what is in the archive, and yield what an OCI archive lacks for older engines."""
    try:
        if _DOCKER in described:
            manifest = json.loads(described[_DOCKER])
        elif _OCI in described:
            manifest = _from_oci(described, shown)
            text = json.dumps(manifest).encode()
            header = tarfile.TarInfo(_DOCKER)
            header.size = len(text)
            yield header.tobuf() + text + bytes(-len(text) % tarfile.BLOCKSIZE)
        else:
            raise ObtainFailed(f"{shown} is no archive of an image: it has neither {_DOCKER} nor {_OCI}")
        if len(manifest) != 1:
            names = ", ".join(str((image.get("RepoTags") or ["?"])[0]) for image in manifest)
            raise ObtainFailed(
                f"the archive {shown} holds {len(manifest)} images ({names}): save the one that is to run"
            )
        contents.image_id = f"sha256:{hashlib.sha256(described[manifest[0]['Config']]).hexdigest()}"
        contents.tag = (manifest[0].get("RepoTags") or [None])[0]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ObtainFailed(f"{shown} is no archive of an image: {type(error).__name__} {error}") from None


def _from_oci(described: Mapping[str, bytes], shown: str) -> list[dict[str, Any]]:
    """What ``docker save`` would say of an OCI archive (OCI image layout specification)."""
    images = []
    for found in json.loads(described[_OCI])["manifests"]:
        description = found
        blob = json.loads(described[_blob(description)])
        while "manifests" in blob:
            # An image for several machines; what has no machine at all is a note on another.
            fitting = [one for one in blob["manifests"] if _fits(one.get("platform") or {})]
            if not fitting:
                raise ObtainFailed(f"the archive {shown} has no image for this machine ({_machine()})")
            description = fitting[0]
            blob = json.loads(described[_blob(description)])
        names = [found.get("annotations", {}).get(key) for key in _NAMES]
        whole = [name for name in names if name and (":" in name or "/" in name)]
        layers = [_blob(layer) for layer in blob["layers"]]
        images.append({"Config": _blob(blob["config"]), "RepoTags": whole[:1] or None, "Layers": layers})
    return images


def _blob(description: Mapping[str, Any]) -> str:
    algorithm, _, value = str(description["digest"]).partition(":")
    return f"blobs/{algorithm}/{value}"


def _machine() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _fits(wanted: Mapping[str, Any]) -> bool:
    return wanted.get("os") == "linux" and wanted.get("architecture") == _machine()


def _unpacked(stream: _Hashing) -> IO[bytes]:
    begin = stream.peek(8)
    for magic, unpack in _MAGIC:
        if begin.startswith(magic):
            unpacked: IO[bytes] = unpack(stream)
            return unpacked
    return stream  # type: ignore[return-value]  # as much of one as tarfile needs


class _Hashing(io.RawIOBase):
    """Reads through, and knows the digest of all that was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead = b""
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal digits."""
        return self._hash.hexdigest()

    def readable(self) -> bool:
        """It is."""
        return True

    def peek(self, size: int) -> bytes:
        """The next bytes, which the next read gives again."""
        while len(self._ahead) < size and (piece := self._read(size)):
            self._ahead += piece
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        if self._ahead:
            end = len(self._ahead) if size < 0 else size
            piece, self._ahead = self._ahead[:end], self._ahead[end:]
            return piece
        return self._read(size)

    def readinto(self, buffer: Any) -> int:
        """As a file's."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def drain(self) -> None:
        """Read what is behind the end of the tar: the digest counts it."""
        while self.read(PIECE):
            pass

    def _read(self, size: int) -> bytes:
        piece = self._stream.read(size) if size >= 0 else self._stream.read()
        self._hash.update(piece)
        return piece
