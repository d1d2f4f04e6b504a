"""Reads a tar as a stream, in little memory and linear time, whatever it contains.

``tarfile`` does not: it reads a header of any size into memory, and its regular expressions need quadratic time for some
PAX headers (CVE-2024-6232). The formats are ustar, GNU's (long names) and PAX: see pax(1p), "ustar Interchange Format", and
the manual of GNU tar, "Basic Tar Format".
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hanoverd.text.lines import shortened
from hanoverd.text.quoting import quoted

#: The most entries of an archive. Each layer of an image has four at most, and an image has at most 127 layers.
MAX_ENTRIES = 10_000

#: The longest name, in bytes, and the largest PAX header, which holds one, among others.
MAX_NAME, MAX_PAX = 1024, 64 * 1024

#: How many extended headers an entry may have: a long name, a long link, and the two kinds of PAX headers.
MAX_EXTENDED = 4

#: The size of the pieces of a file, in bytes.
PIECE = 256 * 1024

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(_BLOCK)
_ENCODING, _ERRORS = "utf-8", "surrogateescape"

_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, and none at the end only."""
        ...


class Kind(Enum):
    """The kinds of entries that an archive of an image has."""

    FILE = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
    FOLDER = (tarfile.DIRTYPE,)
    HARD_LINK = (tarfile.LNKTYPE,)
    SYMBOLIC_LINK = (tarfile.SYMTYPE,)


@dataclass(frozen=True)
class Entry:
    """An entry of a tar. ``size`` is that of a file, in bytes; ``target`` is that of a link. Both names are unchecked."""

    name: str
    kind: Kind
    size: int = 0
    target: str = ""


class TarReader:
    """Reads the entries of the tar in ``stream``; ValueError for what is not a tar, or goes beyond the limits above."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._count = 0
        # Of the content of the current entry, and of the padding after it.
        self._unread = self._padding = 0

    def next(self) -> Entry | None:
        """Return the next entry, or None after the last one. The content of the one before is skipped if it was not read."""
        for _ in self.content():
            pass
        fields: dict[str, str] = {}
        for _ in range(MAX_EXTENDED + 1):
            header = self._header()
            if header is None:
                if fields:
                    raise ValueError("it ends after an extended header")
                return None
            if header.type in _LONG:
                fields[_LONG[header.type]] = (
                    self._extension(header.size, MAX_NAME + 1).split(b"\0")[0].decode(_ENCODING, _ERRORS)
                )
            elif header.type == tarfile.XHDTYPE:
                fields |= _pax_fields(self._extension(header.size, MAX_PAX))
            elif header.type == tarfile.XGLTYPE:
                # For all entries that follow: a comment, in practice.
                self._extension(header.size, MAX_PAX)
            else:
                return self._entry(header, fields)
        raise ValueError(f"an entry has more than {MAX_EXTENDED} extended headers")

    def content(self) -> Iterator[bytes]:
        """Yield the rest of the content of the entry that ``next`` returned last, in pieces of at most ``PIECE`` bytes."""
        while self._unread:
            piece = self._stream.read(min(PIECE, self._unread))
            if not piece:
                raise ValueError("it ends within a file")
            self._unread -= len(piece)
            yield piece
        padding, self._padding = self._padding, 0
        self._exactly(padding)

    def _entry(self, header: tarfile.TarInfo, fields: dict[str, str]) -> Entry:
        self._count += 1
        if self._count > MAX_ENTRIES:
            raise ValueError(f"it has more than {MAX_ENTRIES} entries")
        name = fields.get("path", header.name)
        shown = quoted(shortened(name, 100))
        if len(name) > MAX_NAME:
            raise ValueError(f"the name {shown} has more than {MAX_NAME} characters")
        kind = next((kind for kind in Kind if header.type in kind.value), None)
        if kind is None or any(key.startswith("GNU.sparse.") for key in fields):
            raise ValueError(f"{shown} is neither a file nor a folder nor a link (sparse files are not supported)")
        target = fields.get("linkpath", header.linkname)
        if kind is not Kind.FILE:
            return Entry(name, kind, target=target)
        size = _number(fields["size"]) if "size" in fields else header.size
        self._unread, self._padding = size, -size % _BLOCK
        return Entry(name, kind, size)

    def _header(self) -> tarfile.TarInfo | None:
        """Return the next header; None at the end, which is a block of zeros, or the end of the stream."""
        block = self._up_to(_BLOCK)
        if block in (b"", _END):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, _ENCODING, _ERRORS)
        except tarfile.HeaderError:
            raise ValueError("it is not a tar, or an entry has an invalid header") from None
        if header.size < 0:
            raise ValueError("a file has a negative size")
        return header

    def _extension(self, size: int, most: int) -> bytes:
        if size > most:
            raise ValueError(f"an extended header has {size} bytes, which is more than {most}")
        return self._exactly(size + -size % _BLOCK)[:size]

    def _exactly(self, size: int) -> bytes:
        found = self._up_to(size)
        if len(found) < size:
            raise ValueError("it ends within an entry")
        return found

    def _up_to(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size and (piece := self._stream.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _pax_fields(text: bytes) -> dict[str, str]:
    """Return the records ``LENGTH KEY=VALUE`` of a PAX header that say what an entry is."""
    fields: dict[str, str] = {}
    begin = 0
    while begin < len(text) and text[begin]:
        space = text.find(b" ", begin, begin + len(str(MAX_PAX)) + 1)
        end = begin + _number(text[begin:space].decode("ascii", "replace")) if space >= 0 else -1
        # Each record ends after it begins, or this would never end.
        if not begin < space < end <= len(text) or text[end - 1 : end] != b"\n":
            raise ValueError("a PAX header is invalid")
        key, _, value = text[space + 1 : end - 1].decode(_ENCODING, _ERRORS).partition("=")
        if key in ("path", "linkpath", "size") or key.startswith("GNU.sparse."):
            fields[key] = value
        begin = end
    return fields


def _number(text: str) -> int:
    # The largest size that Linux has needs 19 digits.
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004
        raise ValueError("a PAX header has an invalid number")
    return int(text)
