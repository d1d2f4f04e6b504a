"""Repacks archives for tests."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_stream import Contents, Wanted, repacked
from hanoverd.runtime.errors import ObtainFailed


def repack(data: bytes, contents: Contents | None = None, **wanted: Any) -> dict[str, bytes]:
    """Return the files that the engine gets."""
    contents = contents or Contents()
    plain = b"".join(repacked(io.BytesIO(data), Wanted("app.tar", "web", **wanted), contents, Abort()))
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def refusal(data: bytes, **wanted: Any) -> str:
    """Return the message with which an archive is refused; the engine gets no manifest, and no end of the tar."""
    pieces = bytearray()
    try:
        for piece in repacked(io.BytesIO(data), Wanted("app.tar", "web", **wanted), Contents(), Abort()):
            pieces += piece
    except ObtainFailed as error:
        assert b"hanoverd/web" not in pieces
        return str(error)
    raise AssertionError("it was not refused")
