"""An image out of an archive: a tar as ``docker save`` makes it, or an OCI archive; from a file, HTTPS or S3."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.threads import deferToThreadPool

from hanoverd.docker.abort import Abort
from hanoverd.images import Progress, SourceContext
from hanoverd.images.archive_stream import Contents, repacked
from hanoverd.images.downloads import opened, version_of
from hanoverd.images.obtained import image_of
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.errors import EngineRefused, NotFound, ObtainFailed, UsageError
from hanoverd.runtime.extras import Extra
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName, built_name

_DIGEST = re.compile(r"(?P<location>.+)@sha256:(?P<digest>[0-9a-f]{64})")


class ArchiveSource:
    """Loads the archive that ``text`` names: ``PATH``, ``https://…`` or ``s3://BUCKET/KEY``, with the SHA-256 of its
    bytes behind it (``@sha256:…``) if they are to be checked.
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
            raise UsageError(f"docker-archive:{location} is no archive: write a PATH, https://… or s3://BUCKET/KEY")
        self._location = location
        # Without a password, and without a query, which is where signed URLs have theirs.
        self._shown = location if self._is_file else f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        self._context = context

    def describe(self) -> str:
        """What it will do, for the log."""
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
        """Stream the archive into the engine.  Cancel breaks off both ends."""
        del revision
        errors: list[str] = []
        contents = Contents()

        def on_event(event: Mapping[str, Any]) -> None:
            if "error" in event:
                errors.append(str(event["error"]).strip())
            elif line := str(event.get("stream") or event.get("status") or "").strip():
                progress(line)

        def pieces(abort: Abort) -> Iterator[bytes]:
            with opened(self._location, self._shown, abort) as download:
                contents.version = download.version
                yield from repacked(download.stream, self._shown, self._digest, contents, abort)

        try:
            await self._context.engine.load(pieces, on_event)
        except EngineRefused as error:
            errors.append(str(error))
        if errors:
            raise ObtainFailed(f"the archive {self._shown} could not be loaded: {errors[-1]}")
        name = ImageName.parse(contents.tag) if contents.tag else built_name(self._context.app)
        # By the name, too: engines differ in what they take for an image's ID, its configuration or its manifest.
        for reference in [contents.image_id, contents.tag]:
            try:
                return image_of(await self._context.engine.inspect_image(reference or ""), name, contents.version)
            except NotFound:
                continue
        raise ObtainFailed(f"the archive {self._shown} was loaded, and the engine does not have its image")

    async def newest(self) -> str | None:
        """What tells this version of the archive from another: an ETag, or a file's time and size."""
        reactor = self._context.reactor
        asking = deferToThreadPool(reactor, reactor.getThreadPool(), version_of, self._location, self._shown)
        # A thread cannot be cancelled: it ends by its time limit at the latest.
        return await settled(asking, lambda: None)
