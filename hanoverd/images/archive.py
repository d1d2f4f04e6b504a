"""An image from an archive, in the format of ``docker save`` or an OCI archive; from a file, HTTPS or S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from hanoverd.docker.abort import Abort
from hanoverd.images import Progress, SourceContext
from hanoverd.images.archive_location import ArchiveLocation
from hanoverd.images.archive_manifest import SavedImage
from hanoverd.images.archive_stream import Contents, Wanted, repacked
from hanoverd.images.downloads import opened, version_of
from hanoverd.images.obtained import image_of
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import EngineRefused, NotFound, ObtainFailed, OperationFailed, UsageError
from hanoverd.runtime.extras import Extra
from hanoverd.spec.container import Image
from hanoverd.text.durations import format_duration
from hanoverd.text.sizes import format_size

#: The time limit for asking a server for the version of an archive, in seconds.
VERSION_TIMEOUT = 60.0


class ArchiveSource:
    """Loads the archive at ``text``: ``PATH``, ``https://…`` or ``s3://BUCKET/KEY``, optionally with ``@sha256:…``, the
    digest that the archive must have.
    """

    def __init__(self, text: str, context: SourceContext) -> None:
        try:
            self._location = ArchiveLocation.parse(text, context.folder)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._context = context
        self._wanted = Wanted(
            shown=self._location.shown,
            app=context.app,
            digest=self._location.digest,
            max_size=context.max_archive_size,
        )

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log."""
        return f"load the archive {self._location.shown}"

    def check(self) -> None:
        """Fail with ``ObtainFailed`` if a file, or a library that it needs, is missing."""
        if self._location.scheme == "s3":
            Extra.S3.check()
        if self._location.file_name.endswith((".zst", ".zstd", ".tzst")):
            Extra.ZSTD.check()
        if not self._location.scheme and not Path(self._location.text).is_file():
            raise ObtainFailed(f"there is no archive {self._location.shown}")

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Stream the archive to the engine, and return its image. Cancel aborts the download and the load."""
        del revision
        contents = Contents()
        try:
            await self._context.engine.load(lambda abort: self._pieces(contents, abort), progress)
        except (EngineRefused, OperationFailed) as error:
            raise ObtainFailed(f"cannot load the archive {self._location.shown}: {error}") from None
        if contents.image is None or contents.name is None:
            raise ObtainFailed(f"the engine did not read the whole archive {self._location.shown}")
        # By its name too: the ID of an image is the digest of its configuration or of its manifest, depending on the engine.
        for reference in (contents.image.image_id, contents.name.reference):
            try:
                found = await self._context.engine.inspect_image(reference)
            except NotFound:
                continue
            self._check_is(found, contents.image)
            return image_of(found, contents.name, contents.version)
        raise ObtainFailed(f"the engine does not have the image of the archive {self._location.shown} after loading it")

    async def newest(self) -> str | None:
        """Return the version of the archive: an ETag, or a file's time and size."""
        reactor = self._context.reactor
        abort = Abort()
        work = deferToThreadPool(reactor, reactor.getThreadPool(), self._version, abort)
        asking = Deferred.fromCoroutine(settled(work, abort.request))
        try:
            return await within(reactor, VERSION_TIMEOUT, asking)
        except TimedOut:
            raise ObtainFailed(
                f"cannot get the version of the archive {self._location.shown}: no answer within "
                f"{format_duration(VERSION_TIMEOUT)}"
            ) from None

    def _version(self, abort: Abort) -> str | None:
        try:
            return version_of(self._location, abort)
        finally:
            abort.forget()

    def _pieces(self, contents: Contents, abort: Abort) -> Iterator[bytes]:
        """Yield the archive for the engine; runs in a thread."""
        with opened(self._location, abort) as download:
            if download.length is not None and download.length > self._wanted.max_size:
                raise ObtainFailed(
                    f"the archive {self._location.shown} has {format_size(download.length)}, which is more than "
                    f"{format_size(self._wanted.max_size)}: see --archive-max-size"
                )
            contents.version = download.version
            yield from repacked(download.stream, self._wanted, contents, abort)

    def _check_is(self, found: Mapping[str, Any], expected: SavedImage) -> None:
        """Fail with ``ObtainFailed`` if the engine's image has other layers than that of the archive."""
        if tuple((found.get("RootFS") or {}).get("Layers") or ()) != expected.diff_ids:
            raise ObtainFailed(
                f"the engine has another image than that of the archive {self._location.shown} after loading it: is another "
                "program changing its images?"
            )
