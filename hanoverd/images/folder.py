"""An image built from a folder: the current one."""

from __future__ import annotations

from hanoverd.images import Progress, SourceContext
from hanoverd.images.building import Builds, check_dockerfile, find_build_context
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import built_name


class FolderSource:
    """Builds the current folder, or the one that ``text`` names, relative to that."""

    def __init__(self, text: str, context: SourceContext) -> None:
        self._builds = Builds(context)
        self._name = built_name(context.app)
        file = context.build.file
        # As for docker build: the file's path begins where the user is, not in the folder that is built.
        self._build_context = find_build_context(context.folder / text, None if file is None else context.folder / file)

    def describe(self) -> str:
        """What it will do, for the log."""
        return f"build {self._build_context.folder}"

    def check(self) -> None:
        """Fail with ``ObtainFailed`` where there is no Dockerfile."""
        check_dockerfile(self._build_context)

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Build the folder as it is now; there are no revisions of it."""
        del revision
        return await self._builds.build(self._build_context, self._name, progress)

    async def newest(self) -> str | None:
        """Unknown: a folder that somebody edits is not to be built before he says so."""
        return None
