"""A folder as a build context: the tar stream that an engine's builder reads, made as it is sent."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanoverd.docker.abort import Abort
from hanoverd.docker.dockerignore import Ignored, Verdict
from hanoverd.runtime.errors import ObtainFailed

IGNORE_FILE = ".dockerignore"

#: How much goes to the engine at once, in bytes.
PIECE = 256 * 1024

_END = bytes(2 * tarfile.BLOCKSIZE)

_SPECIAL_FILES = (stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)


@dataclass(frozen=True)
class BuildContext:
    """The folder, and its Dockerfile: a path below the folder, or an absolute one elsewhere."""

    folder: Path
    dockerfile: str

    @property
    def dockerfile_path(self) -> Path:
        """Where the Dockerfile is."""
        return self.folder / self.dockerfile

    @property
    def name_in_context(self) -> str:
        """What the engine is to be told of the Dockerfile; one from elsewhere is packed under a name of its own."""
        return ".dockerfile.hanoverd" if Path(self.dockerfile).is_absolute() else self.dockerfile

    def pack(self, abort: Abort) -> Iterator[bytes]:
        """The tar, in pieces, as Docker's client makes it: all files root's, special ones and those that
        ``.dockerignore`` names left out.

        Raises ``ObtainFailed`` where a file cannot be read, ``EngineUnreachable`` once ``abort`` is requested.
        """
        try:
            yield from _gathered(self._blocks(abort))
        except OSError as error:
            raise ObtainFailed(
                f"cannot read the build context {self.folder}: {error}. Mend it, or leave the file out by .dockerignore"
            ) from error

    def names(self) -> Iterator[str]:
        """The paths that belong to the context, relative to it, folders before what is in them."""
        ignored = self._ignored()
        yield from _walk(self.folder, "", ignored, ignored.top)

    def _ignored(self) -> Ignored:
        # A Dockerfile may have an ignore file of its own, which then goes before the other.
        for file in (Path(f"{self.dockerfile_path}.dockerignore"), self.folder / IGNORE_FILE):
            try:
                text = file.read_text(errors="surrogateescape")
            except (FileNotFoundError, NotADirectoryError):
                continue
            try:
                return Ignored.read(text, needed=[IGNORE_FILE, self.name_in_context])
            except ValueError as error:
                raise ObtainFailed(f"{file}: {error}") from None
        return Ignored([])

    def _blocks(self, abort: Abort) -> Iterator[bytes]:
        links: dict[tuple[int, int], str] = {}
        for name in self.names():
            abort.check()
            yield from _entry(self.folder / name, name, links)
        if Path(self.dockerfile).is_absolute():
            yield from _entry(self.dockerfile_path, self.name_in_context, links)
        yield _END


def _walk(folder: Path, prefix: str, ignored: Ignored, of_parent: Verdict) -> Iterator[str]:
    with os.scandir(folder / prefix) as listing:
        entries: Sequence[os.DirEntry[str]] = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{prefix}{entry.name}"
        verdict = ignored.verdict(name, of_parent)
        if not verdict.is_ignored:
            yield name
        if entry.is_dir(follow_symlinks=False) and (not verdict.is_ignored or ignored.may_hold_exceptions(name)):
            yield from _walk(folder, f"{name}/", ignored, verdict)


def _entry(path: Path, name: str, links: dict[tuple[int, int], str]) -> Iterator[bytes]:
    """One file's header, content and padding."""
    found = path.lstat()
    if stat.S_IFMT(found.st_mode) in _SPECIAL_FILES:
        return
    header = tarfile.TarInfo(name)
    header.mode = stat.S_IMODE(found.st_mode)
    header.mtime = int(found.st_mtime)
    content_size = 0
    if stat.S_ISLNK(found.st_mode):
        header.type, header.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISDIR(found.st_mode):
        header.type = tarfile.DIRTYPE
    elif found.st_nlink > 1 and (found.st_dev, found.st_ino) in links:
        header.type, header.linkname = tarfile.LNKTYPE, links[found.st_dev, found.st_ino]
    else:
        links[found.st_dev, found.st_ino] = name
        header.size = content_size = found.st_size
    yield header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    if content_size:
        yield from _content(path, content_size)


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb", buffering=0) as file:
        # What is appended meanwhile does not count: the header has told the size.
        while left and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
    if left:
        raise OSError(f"{path} became shorter while it was read")
    yield bytes(-size % tarfile.BLOCKSIZE)


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of some size: each costs the engine's client three writes."""
    gathered: list[bytes] = []
    size = 0
    for block in blocks:
        gathered.append(block)
        size += len(block)
        if size >= PIECE:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    if gathered:
        yield b"".join(gathered)
