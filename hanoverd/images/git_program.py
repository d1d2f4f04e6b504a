"""A mirror of a git repository, and checkouts of its commits, by the program git."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hanoverd.images import quirks
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.spec.git_location import GitLocation

#: git aborts a transfer that is slower than so many bytes per second for so many seconds.
_MIN_SPEED, _MIN_SPEED_SECONDS = 1000, 60

#: The interval for checking whether a lock is free, in seconds.
_LOCK_INTERVAL = 0.1

#: git holds a lock for a moment only: after so many seconds the git that held it was killed. And how often a fetch is tried.
STALE_LOCK_SECONDS, _FETCH_ATTEMPTS = 10.0, 5

_checkouts = itertools.count()


class Mirror:
    """A local copy of the repository at ``location`` in ``folder``, which several processes may share.

    All methods fail with ``ObtainFailed``, with git's error. Cancel ends git.
    """

    def __init__(
        self,
        reactor: ProcessReactor,
        environ: Mapping[str, str],
        location: GitLocation,
        folder: Path,
        stale_lock_seconds: float = STALE_LOCK_SECONDS,
    ) -> None:
        self._reactor = reactor
        self._environ = _without_prompts(environ)
        self._location = location
        self._folder = folder
        self._repository = folder / "mirror.git"
        self._checkouts = folder / "checkouts"
        self._stale_lock_seconds = stale_lock_seconds

    async def update(self, commit: str | None) -> str:
        """Fetch new commits, and return ``commit``, or the head of the branch."""
        branch = self._location.branch
        async with self._locked():
            if not (self._repository / "HEAD").exists():
                await self._git("init", "--quiet", "--bare", str(self._repository))
            # --prune: a branch "a" may have been replaced by "a/b", and git cannot store both.
            refs = ["+refs/heads/*:refs/heads/*", *(["+HEAD:refs/hanoverd/head"] if branch is None else [])]
            await self._fetch("--tags", "--prune", self._location.url, *refs)
            if commit is not None:
                if not await self._has(commit):
                    # It is on no branch, or no longer on one: hosts also serve such a commit by its name.
                    await self._fetch(self._location.url, commit)
                return commit
            ref = "refs/hanoverd/head" if branch is None else f"refs/heads/{branch}"
            found = await self._try("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
            if found is None:
                raise ObtainFailed(f"{self._location.shown} has no branch {branch}")
            return found

    async def remote_head(self) -> str | None:
        """Return the commit at the head of the host's branch; nothing is fetched. None if there is no such branch."""
        ref = "HEAD" if self._location.branch is None else f"refs/heads/{self._location.branch}"
        output = await self._git("ls-remote", "--quiet", "--", self._location.url, ref, inside=self._folder)
        return output.split()[0] if output else None

    async def describe(self, commit: str) -> str:
        """Return the name of a commit by ``git describe``: the last tag before it, or its abbreviated hash."""
        return await self._git("describe", "--tags", "--always", commit)

    @asynccontextmanager
    async def checkout(self, commit: str) -> AsyncIterator[Path]:
        """Create a folder with the files of ``commit`` and its submodules, without git's own files; remove it at the end."""
        self._remove_abandoned()
        folder = self._checkouts / f"{commit[:12]}-{os.getpid()}-{next(_checkouts)}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Shared: it copies no objects.
            await self._git("clone", "--quiet", "--shared", "--no-checkout", str(self._repository), str(folder))
            # URLs of submodules may be relative to the URL of the repository.
            await self._git("config", "remote.origin.url", self._location.url, inside=folder)
            await self._git("checkout", "--quiet", "--detach", "--force", commit, inside=folder)
            if (folder / ".gitmodules").exists():
                await self._submodules(folder)
            _remove_git_files(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _submodules(self, folder: Path) -> None:
        # Submodules are kept between checkouts, so that git fetches only what is new.
        kept = self._folder / "modules"
        async with self._locked():
            if kept.exists():
                shutil.move(kept, folder / ".git" / "modules")
            try:
                await self._git("submodule", "--quiet", "sync", "--recursive", inside=folder)
                await self._git("submodule", "--quiet", "update", "--init", "--recursive", "--force", inside=folder)
            finally:
                if (folder / ".git" / "modules").exists():
                    shutil.move(folder / ".git" / "modules", kept)

    async def _fetch(self, *arguments: str) -> None:
        limits = ["-c", f"http.lowSpeedLimit={_MIN_SPEED}", "-c", f"http.lowSpeedTime={_MIN_SPEED_SECONDS}"]
        command = [*limits, "fetch", "--quiet", "--force", "--no-write-fetch-head", *arguments]
        for attempt in itertools.count(1):
            try:
                await self._git(*command)
            except ObtainFailed as error:
                lock = quirks.held_lock(str(error))
                if lock is None or not lock.is_relative_to(self._repository) or attempt == _FETCH_ATTEMPTS:
                    raise
                await self._wait_for_lock(lock)
            else:
                return

    async def _wait_for_lock(self, lock: Path) -> None:
        """Wait until another git releases its lock: one that was just cancelled, or that another hanoverd has left.

        A git that was killed does not release its lock: remove it when it is too old.
        """
        start = self._reactor.seconds()
        while True:
            try:
                # The age of the file, or, if the system's clock was set, the time that we have waited.
                age = max(time.time() - lock.stat().st_mtime, self._reactor.seconds() - start)
                if age > self._stale_lock_seconds:
                    lock.unlink()
                    return
            except FileNotFoundError:
                return
            except OSError as error:
                raise ObtainFailed(
                    f"cannot remove {lock}, the lock of a git that was killed: {error.strerror}"
                ) from None
            await sleep(self._reactor, _LOCK_INTERVAL)

    async def _has(self, commit: str) -> bool:
        return await self._try("cat-file", "-e", f"{commit}^{{commit}}") is not None

    async def _try(self, *arguments: str) -> str | None:
        """Return the output of git; None if it fails."""
        ended = await run(self._reactor, self._command(arguments, self._repository), self._environ, with_children=True)
        return ended.stdout.strip() if ended.code == 0 else None

    async def _git(self, *arguments: str, inside: Path | None = None) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = self._command(arguments, inside or self._repository)
        ended = await run(self._reactor, command, self._environ, cwd=str(self._folder), with_children=True)
        if ended.code != 0:
            verb = next(word for word in arguments if not word.startswith("-") and "=" not in word)
            error = (ended.stderr or ended.stdout).strip().replace(self._location.url, self._location.shown)
            raise ObtainFailed(
                f"git {verb} of {self._location.shown} failed: {error or f'exit status {ended.code}'}{_hint(error)}"
            )
        return ended.stdout.strip()

    def _command(self, arguments: Sequence[str], repository: Path) -> list[str]:
        where = [] if "init" in arguments or "clone" in arguments else ["-C", str(repository)]
        return ["git", *where, *arguments]

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the lock of the mirror, so that no other task or process changes it; the end of the process releases it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await sleep(self._reactor, _LOCK_INTERVAL)
            yield

    def _remove_abandoned(self) -> None:
        """Remove the checkouts of processes that were killed."""
        if not self._checkouts.exists():
            return
        for folder in self._checkouts.iterdir():
            pid = folder.name.split("-")[1:2]
            if pid and pid[0].isdigit() and not Path("/proc", pid[0]).exists():
                shutil.rmtree(folder, ignore_errors=True)


def _without_prompts(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment with settings that keep git and ssh from asking for input: on a terminal they would wait
    for an answer.
    """
    settings = {
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS": environ.get("SSH_ASKPASS", "false"),
        # Without this, ssh asks on the terminal although SSH_ASKPASS is set (ssh(1)).
        "SSH_ASKPASS_REQUIRE": "force",
        "GIT_SSH_COMMAND": environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20"),
        # English texts: see quirks.
        "LC_ALL": "C",
    }
    if "GIT_SSH" in environ and "GIT_SSH_COMMAND" not in environ:
        del settings["GIT_SSH_COMMAND"]
    # These name a repository, and git would use it instead of ours.
    other_repository = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    return {name: value for name, value in environ.items() if name not in other_repository} | settings


def _remove_git_files(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    for path in folder.rglob(".git"):
        # In a submodule, .git is a file with the path of the repository.
        if path.is_file():
            path.unlink()


def _hint(error: str) -> str:
    if quirks.is_login_missing(error):
        return ". Set up a credential helper for git, or use ssh (--git-protocol ssh)"
    if quirks.is_ssh_key_missing(error):
        return ". ssh must connect without asking: give it a key (or an agent), and add the host to known_hosts"
    return ""
