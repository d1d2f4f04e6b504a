"""An image built from a folder."""

from __future__ import annotations

from hanoverd.images import Progress, SourceContext
from hanoverd.images.building import Builds, find_build_context, read_dockerfile
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import built_name


class FolderSource:
    """Builds the folder ``text``, relative to the current folder."""

    def __init__(self, text: str, context: SourceContext) -> None:
        self._builds = Builds(context)
        self._name = built_name(context.app)
        file = context.build.file
        # As for docker build, the Dockerfile's path is relative to the current folder, not to the one that is built.
        self._build_context = find_build_context(context.folder / text, None if file is None else context.folder / file)

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log."""
        return f"build {self._build_context.folder}"

    def check(self) -> None:
        """Fail with ``ObtainFailed`` if there is no Dockerfile, or if it cannot be read."""
        read_dockerfile(self._build_context)

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Build the folder as it is now; a folder has no revisions."""
        del revision
        return await self._builds.build(self._build_context, self._name, progress)

    async def newest(self) -> str | None:
        """Return None: a change of a file does not mean that the folder should be built."""
        return None
