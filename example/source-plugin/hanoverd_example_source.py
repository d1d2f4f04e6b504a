"""``hanoverd greeting:BASE/WORDS`` runs the image BASE with WORDS in its variable VERSION.

A small source of images: it creates a build context, and builds it. hanoverd documents everything that it imports here.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from hanoverd.docker.abort import Abort
from hanoverd.docker.api import BuildRequest
from hanoverd.images import Progress, SourceContext
from hanoverd.images.obtained import image_of
from hanoverd.runtime.errors import EngineRefused, ObtainFailed, OperationFailed, UsageError
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import built_name


class GreetingSource:
    """A source, as ``hanoverd.images.Source`` describes it."""

    def __init__(self, text: str, context: SourceContext) -> None:
        base, slash, words = text.rpartition("/")
        if not slash or not words:
            # hanoverd prints the error at its start, and exits with status 1.
            raise UsageError(f"greeting:{text} is invalid: use greeting:BASE/WORDS")
        self._dockerfile = f"FROM {base}\nENV VERSION={words!r}\n".encode()
        self._words = words
        self._name = built_name(context.app)
        self._engine = context.engine

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log."""
        return f"greet with {self._words}"

    def check(self) -> None:
        """Do nothing: there is nothing to check at the start."""

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Build the image. Cancel cancels the build, because the coroutine awaits it."""
        try:
            found = await self._engine.build(self._pack, BuildRequest(tag=self._name.reference), progress)
        except (EngineRefused, OperationFailed) as error:
            raise ObtainFailed(f"cannot build the greeting: {error}") from None
        if found is None:
            raise ObtainFailed("cannot build the greeting: the engine interrupted the build")
        return image_of(found, self._name)

    async def newest(self) -> str | None:
        """Return None: the image for the same words never changes."""
        return None

    def _pack(self, abort: Abort) -> Iterator[bytes]:
        """Yield a tar with a Dockerfile; runs in a thread."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(self._dockerfile)
            tar.addfile(entry, io.BytesIO(self._dockerfile))
        yield buffer.getvalue()
