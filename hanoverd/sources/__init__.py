"""Where images come from: one module a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hanoverd.model.container import Image

#: Takes what a build or pull says on the way: a line, and whether it replaces the last one (a progress bar).
Progress = Callable[[str], object]


class Source(Protocol):
    """Obtains images for an app."""

    def describe(self) -> str:
        """What it will do, for the log: "build /srv/app"."""
        ...

    async def obtain(self, progress: Progress) -> Image:
        """Obtain the image anew.

        Fails with ``ObtainFailed`` or the ``EngineError`` family.  Cancel aborts the work on the engine too.
        """
        ...
