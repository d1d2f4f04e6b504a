"""Local copies of git repositories, and which of their commits may be built."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hanoverd.images.git_leftovers import STALE_LOCK_SECONDS, Leftovers, files_below
from hanoverd.images.git_program import NETWORK_SECONDS, SHORT_SECONDS, Git
from hanoverd.runtime.errors import CommitRefused, ObtainFailed
from hanoverd.runtime.file_lock import FileLock
from hanoverd.runtime.private_folder import private_folder
from hanoverd.runtime.processes import ProcessReactor
from hanoverd.spec.git_location import GitLocation
from hanoverd.spec.git_options import GitOptions

log = Logger()

#: How often a fetch is tried that finds lock files of another git.
_FETCH_ATTEMPTS = 5

#: How many branches and tags a repository may have, and how often they are counted during a fetch, in seconds.
MAX_REFS, _COUNT_INTERVAL = 100_000, 2.0

#: All that git has to know of a copy; nothing that was added to this file counts.
_CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

_BRANCHES, _TAGS = "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"


class Mirrors:
    """The copies of repositories in the folder ``mirrors`` of ``state_folder``, which several processes may share."""

    def __init__(
        self, reactor: ProcessReactor, environ: Mapping[str, str], state_folder: Path, options: GitOptions
    ) -> None:
        self.reactor = reactor
        self.environ = environ
        self.options = options
        self._folder = state_folder / "mirrors"

    def check(self) -> Path:
        """Return the folder, created if it is missing; fails with ``StateRefused``."""
        return private_folder(self._folder)

    def at(self, location: GitLocation, app: str = "", stale_lock_seconds: float = STALE_LOCK_SECONDS) -> Mirror:
        """Return the copy of the repository at ``location``, for an app."""
        return Mirror(self, location, app, self._folder / f"{location.mirror}.git", stale_lock_seconds)


class Mirror:
    """The copy of the repository at ``location`` in ``folder``.

    All methods fail with ``ObtainFailed``, with git's error, or with ``StateRefused``. Cancel ends git.
    """

    def __init__(
        self, mirrors: Mirrors, location: GitLocation, app: str, folder: Path, stale_lock_seconds: float
    ) -> None:
        reactor = mirrors.reactor
        self.location = location
        self.folder = folder
        self._mirrors = mirrors
        self._max_size = mirrors.options.max_size
        self._repository = folder / "repository"
        self.git = Git(reactor, mirrors.environ, location, self._repository, self._max_size)
        self._lock = FileLock(reactor, folder / "lock")
        self._leftovers = Leftovers(reactor, self._repository, stale_lock_seconds)
        # An app may follow several branches, one after the other.
        self._built_ref = f"refs/hanoverd/built/{_digest(app, location.branch or '')}"

    async def update(self, commit: str | None) -> str:
        """Fetch the branch, and return the commit to build: ``commit``, or the head of the branch (None).

        A commit that is not on the branch, or that the last one of ``note_built`` already has, is refused: the head is
        returned instead if it is new, else it fails with ``CommitRefused``. Without a branch, ``commit`` may be on any.
        """
        async with self.locked():
            if self.location.branch is None and commit is not None:
                return await self._commit_of_any_branch(commit)
            head = await self._fetch_branch()
            if commit in (None, head):
                return head
            try:
                await self._check(commit, head)
            except CommitRefused as error:
                if await self._built() == head:
                    raise
                # The trigger may have replaced another one, for a commit that is on the branch.
                log.warn(
                    "git: {error}; building the head of the branch, {revision}, instead",
                    event="commit_refused",
                    error=error,
                    revision=head,
                )
                return head
            return commit

    async def fetch_commit(self, commit: str) -> None:
        """Fetch a commit of a submodule, unless it is there; it can be on any branch, or on none."""
        async with self.locked():
            if await self._has(commit):
                return
            await self._fetch(_BRANCHES)
            if not await self._has(commit):
                await self._fetch(commit)

    async def note_built(self, commit: str) -> None:
        """Remember that ``commit`` was built: ``update`` refuses older ones from now on."""
        async with self.locked():
            await self.git.run("update-ref", self._built_ref, commit)

    async def remote_head(self) -> str | None:
        """Return the commit at the head of the host's branch; nothing is fetched. None if there is no such branch."""
        async with self.locked():
            pass  # It creates the repository: without one, git would look for another.
        return await self._find_remote(self._remote_ref)

    async def describe(self, commit: str) -> str:
        """Return the name of a commit by ``git describe``: the last tag before it, or its abbreviated hash."""
        return await self.git.run("describe", "--tags", "--always", commit)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the lock of the copy, so that no other task or process changes it; create the copy if it is missing."""
        with _reported(self.folder):
            self._mirrors.check()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            async with self._lock.held():
                await self._create()
                yield
        except OSError as error:
            raise _unusable(self.folder, error) from None

    async def _create(self) -> None:
        if not (self._repository / "HEAD").exists():
            # Without a template: it can have hooks.
            await self.git.run("init", "--quiet", "--bare", "--template=", "--object-format=sha1")
            await self.git.check_settings()
        config = self._repository / "config"
        if config.is_symlink() or config.read_bytes() != _CONFIG:
            new = self._repository / "config.new"
            new.unlink(missing_ok=True)
            new.write_bytes(_CONFIG)
            new.replace(config)

    @property
    def _remote_ref(self) -> str:
        return "HEAD" if self.location.branch is None else f"refs/heads/{self.location.branch}"

    async def _fetch_branch(self) -> str:
        """Fetch the branch and all tags, and return the head of the branch."""
        # A name of our own: "a" and "a/b" cannot both be stored, although one may follow the other at the host.
        ref = f"refs/hanoverd/{_digest(self._remote_ref)}"
        try:
            await self._fetch(f"+{self._remote_ref}:{ref}", _TAGS)
        except ObtainFailed as error:
            if await self._is_branch_missing():
                raise ObtainFailed(f"{self.location.shown} has no branch {self.location.branch or 'yet'}") from None
            raise error from None
        return await self.git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")

    async def _is_branch_missing(self) -> bool:
        try:
            return await self._find_remote(self._remote_ref) is None
        except ObtainFailed:
            return False

    async def _find_remote(self, ref: str) -> str | None:
        """Return the commit of a reference of the host; None if there is none."""
        listed = await self.git.run("ls-remote", "--quiet", "--", self.location.url, ref, seconds=SHORT_SECONDS)
        # git also lists references that end like this one.
        found = [line.partition("\t")[0] for line in listed.splitlines() if line.partition("\t")[2] == ref]
        return found[0] if found else None

    async def _commit_of_any_branch(self, commit: str) -> str:
        await self._fetch(_BRANCHES, _TAGS)
        if not await self._heads("--contains", commit):
            raise CommitRefused(
                f"commit {commit} is on no branch of {self.location.shown}: only commits of its branches are built"
            )
        built = await self._built()
        is_head = bool(await self._heads("--points-at", commit))
        if not is_head and built is not None and not await self._is_ancestor(built, commit):
            raise CommitRefused(
                f"commit {commit} is not the newest one of its branch, and older than {built}, which was built last"
            )
        return commit

    async def _heads(self, *condition: str) -> str | None:
        """Return branches for which a condition holds; None or "" if there are none, or if there is no such commit."""
        return await self.git.try_("for-each-ref", "--count=1", "--format=%(refname)", *condition, "refs/heads/")

    async def _check(self, commit: str, head: str) -> None:
        """Fail with ``CommitRefused`` unless ``commit`` is on the branch, and not older than what was built last."""
        branch = f"branch {self.location.branch} of {self.location.shown}"
        if not await self._is_ancestor(commit, head):
            raise CommitRefused(
                f"commit {commit} is not on {branch}: only commits of the branch are built, and its head is {head}"
            )
        built = await self._built()
        # After a forced push, what was built last may not be on the branch: the branch decides.
        if built in (None, commit) or not await self._is_ancestor(built, head):
            return
        if not await self._is_ancestor(built, commit):
            raise CommitRefused(
                f"commit {commit} of {branch} is older than {built}, which was built last: `hanoverd rollback` returns to an "
                "earlier version"
            )

    async def _built(self) -> str | None:
        return await self.git.try_("rev-parse", "--verify", "--quiet", self._built_ref)

    async def _has(self, commit: str) -> bool:
        return await self.git.succeeds("cat-file", "-e", f"{commit}^{{commit}}")

    async def _is_ancestor(self, commit: str, of: str) -> bool:
        return await self.git.succeeds("merge-base", "--is-ancestor", commit, of)

    async def _fetch(self, *refspecs: str) -> None:
        # --prune: a reference "a" may have been replaced by "a/b", and git cannot store both.
        options = ["--quiet", "--force", "--no-write-fetch-head", "--no-tags", "--prune", "--no-auto-maintenance"]
        command = ["fetch", *options, "--", self.location.url, *refspecs]
        for attempt in range(1, _FETCH_ATTEMPTS + 1):
            await self._leftovers.remove()
            try:
                await self._fetch_once(command)
            except ObtainFailed:
                # Another git, which a hanoverd that was killed has left, may hold a lock.
                if attempt == _FETCH_ATTEMPTS or self._has_too_many_refs() or not self._leftovers.locks():
                    raise
            else:
                break
        # Not as a part of the fetch, whose files may be no larger than what is left of the limit. If it fails, the copy is
        # larger and slower than it could be.
        await self.git.succeeds("maintenance", "run", "--auto", "--quiet")

    async def _fetch_once(self, command: list[str]) -> None:
        room = self._max_size - sum(pack.stat().st_size for pack in (self._repository / "objects" / "pack").iterdir())
        if room <= 0:
            raise ObtainFailed(
                f"the copy of {self.location.shown} has more than {self._max_size} bytes: raise --git-max-size, or delete "
                f"{self.folder}, which is then fetched again"
            )
        fetching = Deferred.fromCoroutine(self.git.run(*command, seconds=NETWORK_SECONDS, max_file=room))
        counting = LoopingCall(self._cancel_if_too_many_refs, fetching)
        counting.clock = self._mirrors.reactor
        counting.start(_COUNT_INTERVAL, now=False).addErrback(lambda _: None)
        try:
            await fetching
        except CancelledError:
            if self._has_too_many_refs():
                raise ObtainFailed(
                    f"{self.location.shown} has more than {MAX_REFS} branches and tags: remove some, and delete {self.folder}"
                ) from None
            raise
        finally:
            if counting.running:
                counting.stop()

    def _cancel_if_too_many_refs(self, fetching: Deferred[str]) -> None:
        if self._has_too_many_refs():
            fetching.cancel()

    def _has_too_many_refs(self) -> bool:
        return next(islice(files_below(self._repository / "refs"), MAX_REFS, None), None) is not None


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]


@contextmanager
def _reported(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> ObtainFailed:
    return ObtainFailed(
        f"cannot use {error.filename or folder}: {error.strerror}: hanoverd runs as user {os.geteuid()}"
    )
