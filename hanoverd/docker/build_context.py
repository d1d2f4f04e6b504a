"""A folder as a build context: a tar stream for the engine, created while it is sent."""

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

#: The size of the pieces that are sent to the engine, in bytes.
PIECE = 256 * 1024

_END = bytes(2 * tarfile.BLOCKSIZE)

_SPECIAL_FILES = (stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)


@dataclass(frozen=True)
class BuildContext:
    """The folder and its Dockerfile: a path relative to the folder, or an absolute path to a file elsewhere."""

    folder: Path
    dockerfile: str

    @property
    def dockerfile_path(self) -> Path:
        """The path of the Dockerfile."""
        return self.folder / self.dockerfile

    @property
    def name_in_context(self) -> str:
        """The path of the Dockerfile in the tar; a file from elsewhere gets a reserved name."""
        return ".dockerfile.hanoverd" if Path(self.dockerfile).is_absolute() else self.dockerfile

    def pack(self, abort: Abort) -> Iterator[bytes]:
        """Yield the tar in pieces, like Docker's client: all files belong to root, and there are neither special files nor
        files that ``.dockerignore`` excludes.

        Raises ``ObtainFailed`` if a file cannot be read, and ``EngineUnreachable`` after ``abort`` was requested.
        """
        try:
            yield from _gathered(self._blocks(abort))
        except OSError as error:
            raise ObtainFailed(
                f"cannot read the build context {self.folder}: {error}. Fix it, or exclude the file in .dockerignore"
            ) from error

    def names(self) -> Iterator[str]:
        """Yield the paths of the context, relative to it; a folder comes before its contents."""
        ignored = self._ignored()
        yield from _walk(self.folder, "", ignored, ignored.top)

    def _ignored(self) -> Ignored:
        # An ignore file for this Dockerfile takes precedence.
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
    """Yield the header, content and padding of one file."""
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
        # The header has the size: bytes that were appended since then are left out.
        while left and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
    if left:
        raise OSError(f"{path} became shorter while it was read")
    yield bytes(-size % tarfile.BLOCKSIZE)


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger pieces: the engine's client needs three writes for each."""
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
