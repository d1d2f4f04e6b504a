"""``hanoverd greeting:BASE/WORDS`` runs the image BASE with WORDS in its variable VERSION.

The smallest source that does something: it builds a context that it makes up itself.  Everything that it imports from
hanoverd is documented there.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from hanoverd.docker.abort import Abort
from hanoverd.docker.blocking_engine import BuildRequest
from hanoverd.images import Progress, SourceContext
from hanoverd.images.obtained import image_of
from hanoverd.runtime.errors import ObtainFailed, UsageError
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import built_name


class GreetingSource:
    """A source, as ``hanoverd.images.Source`` describes it."""

    def __init__(self, text: str, context: SourceContext) -> None:
        base, slash, words = text.rpartition("/")
        if not slash or not words:
            # UsageError is told at the start, with exit status 1, before anything is touched.
            raise UsageError(f"greeting:{text} should be greeting:BASE/WORDS")
        self._dockerfile = f"FROM {base}\nENV VERSION={words!r}\n".encode()
        self._words = words
        self._name = built_name(context.app)
        self._engine = context.engine

    def describe(self) -> str:
        """For the log."""
        return f"greet with {self._words}"

    def check(self) -> None:
        """There is nothing that could be wrong at the start."""

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Build.  A coroutine that only awaits hanoverd's own verbs is cancelled as they are: really."""
        errors: list[str] = []
        request = BuildRequest(tag=self._name.reference)
        found = await self._engine.build(
            self._context, request, lambda event: errors.append(event["error"]) if "error" in event else None
        )
        if errors or found is None:
            raise ObtainFailed(f"no greeting: {errors}")
        return image_of(found, self._name)

    async def newest(self) -> str | None:
        """The same words always make the same image."""
        return None

    def _context(self, abort: Abort) -> Iterator[bytes]:
        """A tar with a Dockerfile; runs in a thread."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(self._dockerfile)
            tar.addfile(entry, io.BytesIO(self._dockerfile))
        yield buffer.getvalue()
