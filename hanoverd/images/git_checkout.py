"""Checkouts: the files of one commit, with the submodules that are allowed."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred

from hanoverd.images.git_mirror import Mirror, Mirrors
from hanoverd.images.git_tree import Budget, TreeReader
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.removal import remove_folder
from hanoverd.spec.git_location import GitLocation
from hanoverd.spec.git_options import NONE, is_allowed
from hanoverd.spec.git_submodules import parse_gitmodules, submodule_location

#: How deep submodules may be nested.
_DEEPEST = 5

_checkouts = itertools.count()


class Checkouts:
    """Checks out commits of the copies in ``mirrors``."""

    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._allowed = mirrors.options.submodules

    @asynccontextmanager
    async def of(self, mirror: Mirror, commit: str) -> AsyncIterator[Path]:
        """Create a folder with the files of ``commit``, without git's own files, and remove it at the end.

        Fails with ``ObtainFailed``: for submodules that are not allowed, and for more files than allowed, too.
        """
        checkouts = mirror.folder / "checkouts"
        await self._remove_abandoned(checkouts)
        folder = checkouts / f"{commit[:12]}-{os.getpid()}-{next(_checkouts)}"
        files = folder / "files"
        try:
            files.mkdir(parents=True)
            await self._fill(mirror, commit, files, Budget(self._mirrors.options.max_size), folder / "index")
            yield files
        finally:
            await remove_folder(self._mirrors.reactor, mirror.git.environ, folder)

    async def _fill(
        self, mirror: Mirror, commit: str, files: Path, budget: Budget, index: Path, level: int = 0
    ) -> None:
        """Fill the folder ``files``; ``index`` is the path of a file for git, outside of it."""
        async with mirror.locked():
            submodules = await self._list(mirror, commit, budget)
            urls = await self._urls(mirror, commit) if submodules else {}
            locations = {
                path: self._location(mirror.location, commit, path, urls.get(path))
                for path in submodules
                if self._allowed != (NONE,)
            }
            if locations and level == _DEEPEST:
                raise ObtainFailed(f"commit {commit} of {mirror.location.shown}: submodules are nested too deep")
            await mirror.git.check_out(commit, files, index)
            index.unlink()
        for path, location in locations.items():
            library = self._mirrors.at(location)
            await library.fetch_commit(submodules[path])
            await self._fill(library, submodules[path], _folder_of(files, path), budget, index, level + 1)

    async def _list(self, mirror: Mirror, commit: str, budget: Budget) -> dict[str, str]:
        """Count what a commit has, and return the commits of its submodules by path."""
        reader = TreeReader(budget)
        command = ("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit)
        reading = Deferred.fromCoroutine(mirror.git.read(reader.take, *command))
        reader.stop = reading.cancel
        try:
            await reading
        except CancelledError:
            if not reader.excess:
                raise
            raise ObtainFailed(f"commit {commit} of {mirror.location.shown} has {reader.excess}") from None
        return reader.submodules

    async def _urls(self, mirror: Mirror, commit: str) -> dict[str, str]:
        """Return the URLs of the submodules of a commit, by path, as far as it says them."""
        listing = await mirror.git.try_("config", "--blob", f"{commit}:.gitmodules", "--null", "--list")
        return parse_gitmodules(listing or "")

    def _location(self, parent: GitLocation, commit: str, path: str, url: str | None) -> GitLocation:
        """Return where a submodule is; fails with ``ObtainFailed`` if it may not be used."""
        subject = f"commit {commit} of {parent.shown} has the submodule {path!r}"
        if url is None:
            raise ObtainFailed(f"{subject}, and .gitmodules does not say where it is")
        try:
            location = submodule_location(parent, url)
        except ValueError as error:
            raise ObtainFailed(f"{subject}, which cannot be used: {error}") from None
        if not is_allowed(location.mirror, self._allowed):
            raise ObtainFailed(
                f"{subject}, from {location.shown}, which is not allowed: add --git-submodules {location.mirror} if everyone "
                f"who can push to {parent.shown} may build it, or --git-submodules {NONE} to leave the folders of submodules empty"
            )
        return location

    async def _remove_abandoned(self, checkouts: Path) -> None:
        """Remove the checkouts of processes that were killed."""
        if not checkouts.exists():
            return
        for folder in checkouts.iterdir():
            pid = folder.name.split("-")[1:2]
            if pid and pid[0].isdigit() and not Path("/proc", pid[0]).exists():
                await remove_folder(self._mirrors.reactor, self._mirrors.environ, folder)


def _folder_of(files: Path, path: str) -> Path:
    """Return the folder of a submodule, which git has created."""
    folder = files / path
    if folder.is_symlink() or folder.resolve() != files.resolve() / path:
        raise ObtainFailed(f"the submodule {path!r} is in a folder that is a link")
    folder.mkdir(exist_ok=True)
    return folder
