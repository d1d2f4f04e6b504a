"""An image from an archive, in the format of ``docker save`` or an OCI archive; from a file, HTTPS or S3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from twisted.internet.threads import deferToThreadPool

from hanoverd.docker.abort import Abort
from hanoverd.images import Progress, SourceContext
from hanoverd.images.archive_stream import Contents, repacked
from hanoverd.images.downloads import opened, version_of
from hanoverd.images.obtained import image_of
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import EngineRefused, NotFound, ObtainFailed, OperationFailed, UsageError
from hanoverd.runtime.extras import Extra
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName, built_name

_DIGEST = re.compile(r"(?P<location>.+)@sha256:(?P<digest>[0-9a-f]{64})")


class ArchiveSource:
    """Loads the archive at ``text``: ``PATH``, ``https://…`` or ``s3://BUCKET/KEY``, optionally with ``@sha256:…``, the
    digest that the archive must have.
    """

    def __init__(self, text: str, context: SourceContext) -> None:
        found = _DIGEST.fullmatch(text)
        location = found["location"] if found else text
        self._digest = found["digest"] if found else None
        url = urlsplit(location)
        self._is_file = not url.scheme
        if self._is_file:
            location = str(context.folder / location)
        elif url.scheme not in ("https", "http", "s3") or not url.netloc or not url.path.strip("/"):
            raise UsageError(f"docker-archive:{location} is not supported: use a PATH, https://… or s3://BUCKET/KEY")
        self._location = location
        # Without a password, and without the query, which holds the secret of a signed URL.
        self._shown = location if self._is_file else f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        self._context = context

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log."""
        return f"load the archive {self._shown}"

    def check(self) -> None:
        """Fail with ``ObtainFailed`` if a file, or a library that it needs, is missing."""
        url = urlsplit(self._location)
        if url.scheme == "s3":
            Extra.S3.check()
        if url.path.endswith((".zst", ".zstd", ".tzst")):
            Extra.ZSTD.check()
        if self._is_file and not Path(self._location).is_file():
            raise ObtainFailed(f"there is no archive {self._shown}")

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Stream the archive to the engine, and return its image. Cancel aborts the download and the load."""
        del revision
        contents = Contents()

        def pieces(abort: Abort) -> Iterator[bytes]:
            with opened(self._location, self._shown, abort) as download:
                contents.version = download.version
                yield from repacked(download.stream, self._shown, self._digest, contents, abort)

        try:
            await self._context.engine.load(pieces, progress)
        except (EngineRefused, OperationFailed) as error:
            raise ObtainFailed(f"cannot load the archive {self._shown}: {error}") from None
        name = ImageName.parse(contents.tag) if contents.tag else built_name(self._context.app)
        # By its name too: the ID of an image is the digest of its configuration or of its manifest, depending on the engine.
        for reference in [contents.image_id, contents.tag]:
            try:
                return image_of(await self._context.engine.inspect_image(reference or ""), name, contents.version)
            except NotFound:
                continue
        raise ObtainFailed(f"the engine does not have the image of the archive {self._shown} after loading it")

    async def newest(self) -> str | None:
        """Return the version of the archive: an ETag, or a file's time and size."""
        reactor = self._context.reactor
        work = deferToThreadPool(reactor, reactor.getThreadPool(), version_of, self._location, self._shown)
        # A thread cannot be cancelled; it has its own time limits.
        return await settled(work, lambda: None)
