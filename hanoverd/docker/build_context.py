"""A folder as a build context: a tar stream for the engine, created while it is sent."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hanoverd.docker.abort import Abort
from hanoverd.docker.context_walk import Found, naming, walk
from hanoverd.docker.dockerignore import Ignored
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.regular_files import open_entry, read_below, read_regular
from hanoverd.text.lines import shortened
from hanoverd.text.quoting import quoted
from hanoverd.text.sizes import format_size

IGNORE_FILE = ".dockerignore"

#: The maximum size of a Dockerfile and of an ignore file, in bytes.
LARGEST_FILE = 1024 * 1024

#: The size of the pieces that are sent to the engine, in bytes.
PIECE = 256 * 1024

#: For how many files with several names the first name is remembered; further ones are sent with each name.
_MOST_LINKS = 100_000

#: How much of a path a message has, in characters.
_LONGEST_SHOWN = 300

_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class BuildContext:
    """The folder and its Dockerfile: a path relative to the folder, or an absolute path to a file elsewhere.

    The Dockerfile and the ignore file can be links to other files of the folder, or of ``repository``, the folder that it
    belongs to.
    """

    folder: Path
    dockerfile: str
    repository: Path | None = None

    @property
    def dockerfile_path(self) -> Path:
        """The path of the Dockerfile."""
        return self.folder / self.dockerfile

    @property
    def name_in_context(self) -> str:
        """The path of the Dockerfile in the tar; a file from elsewhere gets a reserved name."""
        return ".dockerfile.hanoverd" if Path(self.dockerfile).is_absolute() else self.dockerfile

    def read_dockerfile(self) -> bytes:
        """Return the Dockerfile. Raises ``OSError``, also if it is not a regular file, if it is a link out of the folder, or
        if it is larger than ``LARGEST_FILE``.
        """
        if Path(self.dockerfile).is_absolute():
            return read_regular(self.dockerfile_path, LARGEST_FILE)
        return self._read(self.folder / self.dockerfile)

    def pack(self, abort: Abort, most: int | None = None) -> Iterator[bytes]:
        """Yield the tar in pieces, like Docker's client: all files belong to root, and there are neither special files nor
        files that ``.dockerignore`` excludes.

        Raises ``ObtainFailed`` if a file cannot be read or if the files have more than ``most`` bytes, and
        ``EngineUnreachable`` after ``abort`` was requested.
        """
        try:
            yield from _gathered(self._blocks(abort, most))
        except OSError as error:
            raise ObtainFailed(
                f"cannot read the build context {self.folder}: {_reason(error)}. Fix it, or exclude the file in "
                f"{IGNORE_FILE}"
            ) from error

    def names(self) -> Iterator[str]:
        """Yield the paths of the context, relative to it; a folder comes before its contents."""
        for found in walk(self.folder, self.read_ignored()):
            yield found.path

    def read_ignored(self) -> Ignored:
        """Return what the ignore file excludes. Fails with ``ObtainFailed`` if it cannot be read or is not valid."""
        # An ignore file for this Dockerfile takes precedence.
        for path in (Path(f"{self.dockerfile_path}{IGNORE_FILE}"), self.folder / IGNORE_FILE):
            try:
                text = self._read(path).decode(errors="surrogateescape")
                return Ignored.read(text, needed=[IGNORE_FILE, self.name_in_context])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise ObtainFailed(f"cannot read {path}: {error.strerror}") from None
            except ValueError as error:
                raise ObtainFailed(f"{path}: {error}") from None
        return Ignored()

    def _read(self, path: Path) -> bytes:
        boundary = self.repository or self.folder
        if not path.is_relative_to(boundary):
            # The user has named a Dockerfile elsewhere.
            boundary = path.parent
        return read_below(boundary, os.fspath(path.relative_to(boundary)), LARGEST_FILE)

    def _blocks(self, abort: Abort, most: int | None) -> Iterator[bytes]:
        tar = _Tar(self.folder, most)
        for found in walk(self.folder, self.read_ignored(), abort.check):
            with naming(found.path):
                yield from tar.entry(found)
        if Path(self.dockerfile).is_absolute():
            yield from _file_of(self.name_in_context, self.read_dockerfile())
        yield _END


class _Tar:
    """The entries of the context ``folder``, of which all files together have at most ``most`` bytes."""

    def __init__(self, folder: Path, most: int | None) -> None:
        self._folder = folder
        self._most = most
        self._size = 0
        self._links: dict[tuple[int, int], str] = {}

    def entry(self, found: Found) -> Iterator[bytes]:
        """Yield the header, content and padding of one file; nothing for a special file."""
        status = os.stat(found.name, dir_fd=found.folder, follow_symlinks=False)
        header = tarfile.TarInfo(found.path)
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISLNK(status.st_mode):
            header.type, header.linkname = tarfile.SYMTYPE, os.readlink(found.name, dir_fd=found.folder)
        elif stat.S_ISDIR(status.st_mode):
            header.type = tarfile.DIRTYPE
        elif not stat.S_ISREG(status.st_mode):
            return
        elif status.st_nlink > 1 and identity in self._links:
            header.type, header.linkname = tarfile.LNKTYPE, self._links[identity]
        else:
            yield from self._file(header, found)
            return
        yield _header(header, status)

    def _file(self, header: tarfile.TarInfo, found: Found) -> Iterator[bytes]:
        # The file that was opened counts: it may have been replaced since the folder was read.
        file, status = open_entry(found.folder, found.name)
        try:
            header.size = status.st_size
            self._size += status.st_size
            if self._most is not None and self._size > self._most:
                raise ObtainFailed(
                    f"the build context {self._folder} is larger than {format_size(self._most)} (--build-context-limit), at "
                    f"the file {quoted(found.path)} of {format_size(status.st_size)}: exclude what the build does not need "
                    f"in {IGNORE_FILE}, or raise the limit"
                )
            if status.st_nlink > 1 and len(self._links) < _MOST_LINKS:
                self._links[status.st_dev, status.st_ino] = found.path
            yield _header(header, status)
            yield from _content(file, status.st_size)
        finally:
            os.close(file)


def _header(header: tarfile.TarInfo, status: os.stat_result) -> bytes:
    header.mode = stat.S_IMODE(status.st_mode)
    header.mtime = int(status.st_mtime)
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _file_of(name: str, content: bytes) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    yield header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    yield content
    yield bytes(-len(content) % tarfile.BLOCKSIZE)


def _content(file: int, size: int) -> Iterator[bytes]:
    left = size
    # The header has the size: bytes that were appended since then are left out.
    while left and (piece := os.read(file, min(PIECE, left))):
        left -= len(piece)
        yield piece
    if left:
        raise OSError(errno.EIO, "it became shorter while it was read")
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


def _reason(error: OSError) -> str:
    """Return the text of an error, with its file quoted: names may have escape sequences."""
    name = "" if error.filename is None else f"{shortened(quoted(os.fsdecode(error.filename)), _LONGEST_SHOWN)}: "
    return f"{name}{error.strerror}"
