"""An image built from a branch of a git repository."""

from __future__ import annotations

from pathlib import Path

from hanoverd.images import Progress, SourceContext
from hanoverd.images.building import Builds, find_build_context
from hanoverd.images.git_checkout import Checkouts
from hanoverd.images.git_mirror import Mirrors
from hanoverd.runtime.errors import ObtainFailed, UsageError
from hanoverd.spec.container import Image
from hanoverd.spec.git_location import check_commit, check_folder, parse_git
from hanoverd.spec.image_name import built_name, tag_from


class GitSource:
    """Builds the repository ``text`` from a mirror in the state folder."""

    def __init__(self, text: str, context: SourceContext) -> None:
        try:
            self._location = parse_git(text, context.git.protocol)
            self._file = None if context.build.file is None else check_folder(context.build.file)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._context = context
        self._builds = Builds(context)
        self._mirrors = Mirrors(context.reactor, context.environ, context.state_folder, context.git)
        self._mirror = self._mirrors.at(self._location, context.app)
        self._checkouts = Checkouts(self._mirrors)

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log."""
        place = f"the folder {self._location.folder} of " if self._location.folder else ""
        branch = f"branch {self._location.branch}" if self._location.branch else "default branch"
        return f"build {place}{self._location.shown}, {branch}"

    def check(self) -> None:
        """Do nothing: a host that does not answer now, and a state folder that cannot be used, stop no version that serves."""

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Fetch, check out the commit ``revision`` (by default the head of the branch), and build it.

        Fails with ``CommitRefused`` if the commit is not on the branch, or older than the one that was built last.
        """
        wanted = None if revision is None else _commit(revision)
        commit = await self._mirror.update(wanted)
        progress(f"commit {commit} of {self._location.shown}")
        name = built_name(self._context.app, tag_from(await self._mirror.describe(commit)))
        async with self._checkouts.of(self._mirror, commit) as checkout:
            folder = Path(checkout, self._location.folder)
            # A symbolic link in the repository must not make the build read another folder of this host.
            if not folder.is_dir() or not _is_inside(checkout, folder):
                raise ObtainFailed(f"{self._location.shown} has no folder {self._location.folder} at {commit}")
            build_context = find_build_context(folder, None if self._file is None else folder / self._file, checkout)
            if not _is_inside(checkout, build_context.dockerfile_path):
                raise ObtainFailed(
                    f"the Dockerfile {build_context.dockerfile} of {self._location.shown} is a link to a file outside it"
                )
            image = await self._builds.build(build_context, name, progress, commit)
        await self._mirror.note_built(commit)
        return image

    async def newest(self) -> str | None:
        """Return the commit at the head of the branch."""
        return await self._mirror.remote_head()


def _is_inside(checkout: Path, path: Path) -> bool:
    """Return whether ``path`` is in the checkout, also when all links are followed."""
    try:
        return path.resolve().is_relative_to(checkout.resolve())
    except (OSError, RuntimeError):
        return False  # Links that lead to themselves, or a thousand links in a row.


def _commit(revision: str) -> str:
    try:
        return check_commit(revision)
    except ValueError as error:
        raise ObtainFailed(str(error)) from None
