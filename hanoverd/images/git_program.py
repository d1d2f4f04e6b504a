"""git, the program: a mirror of a repository, and clean checkouts of its commits."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.spec.git_location import GitLocation

#: git gives up on a transfer slower than so many bytes a second for so many seconds.
_SLOWEST, _FOR_SECONDS = 1000, 60

_LOCK_EVERY = 0.1

#: How git tells of a lock that is held (lockfile.c), after how many seconds nobody can hold it any more, for it is held
#: for a moment only, and how many tries at a fetch are worth it.
_LOCKED = re.compile(r"Unable to create '(.+?\.lock)': File exists")
_LOCKED_FOR, _LOCKED_TRIES = 10, 5

_checkouts = itertools.count()


class GitReactor(ProcessReactor, IReactorTime):
    """What a reactor must be able to do to run git."""


class Mirror:
    """A local copy of the repository at ``location``, in ``folder``; shared by all who use that folder.

    All methods fail with ``ObtainFailed``, in git's words, and a cancel ends git.
    """

    def __init__(self, reactor: GitReactor, environ: Mapping[str, str], location: GitLocation, folder: Path) -> None:
        self._reactor = reactor
        self._environ = _without_prompts(environ)
        self._location = location
        self._folder = folder
        self._repository = folder / "mirror.git"
        self._checkouts = folder / "checkouts"

    async def update(self, commit: str | None) -> str:
        """Fetch what is new, and fire with ``commit``, else with the head of the branch."""
        branch = self._location.branch
        async with self._locked():
            if not (self._repository / "HEAD").exists():
                await self._git("init", "--quiet", "--bare", str(self._repository))
            # --prune: a branch "a" may have given way to "a/b".
            refs = ["+refs/heads/*:refs/heads/*", *(["+HEAD:refs/hanoverd/head"] if branch is None else [])]
            await self._fetch("--tags", "--prune", self._location.url, *refs)
            if commit is not None:
                if not await self._has(commit):
                    # On no branch (any more): hosts give it all the same to those who know its name.
                    await self._fetch(self._location.url, commit)
                return commit
            ref = "refs/hanoverd/head" if branch is None else f"refs/heads/{branch}"
            found = await self._try("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
            if found is None:
                raise ObtainFailed(f"{self._location.shown} has no branch {branch}")
            return found

    async def remote_head(self) -> str | None:
        """The commit at the head of the branch, as the host has it now; nothing is fetched."""
        ref = "HEAD" if self._location.branch is None else f"refs/heads/{self._location.branch}"
        said = await self._git("ls-remote", "--quiet", "--", self._location.url, ref, inside=self._folder)
        return said.split()[0] if said else None

    async def describe(self, commit: str) -> str:
        """What ``git describe`` calls a commit: the last tag before it, or its short name."""
        return await self._git("describe", "--tags", "--always", commit)

    @asynccontextmanager
    async def checkout(self, commit: str) -> AsyncIterator[Path]:
        """A folder of its own with exactly the files of ``commit``, submodules too, without git's own; removed after."""
        self._remove_abandoned()
        folder = self._checkouts / f"{commit[:12]}-{os.getpid()}-{next(_checkouts)}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Shared: no object is copied.
            await self._git("clone", "--quiet", "--shared", "--no-checkout", str(self._repository), str(folder))
            # Submodules may be named relative to where the repository really is.
            await self._git("config", "remote.origin.url", self._location.url, inside=folder)
            await self._git("checkout", "--quiet", "--detach", "--force", commit, inside=folder)
            if (folder / ".gitmodules").exists():
                await self._submodules(folder)
            _remove_git_files(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _submodules(self, folder: Path) -> None:
        # Kept between checkouts, so that only what is missing is fetched.
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
        limits = ["-c", f"http.lowSpeedLimit={_SLOWEST}", "-c", f"http.lowSpeedTime={_FOR_SECONDS}"]
        command = [*limits, "fetch", "--quiet", "--force", "--no-write-fetch-head", *arguments]
        for tries in itertools.count(1):
            try:
                await self._git(*command)
            except ObtainFailed as error:
                lock = self._lock_in(str(error))
                if lock is None or tries == _LOCKED_TRIES:
                    raise
                await self._freed(lock)
            else:
                return

    def _lock_in(self, said: str) -> Path | None:
        """The lock of the mirror's own of which git complains, if it does."""
        found = _LOCKED.search(said)
        return Path(found[1]) if found and Path(found[1]).is_relative_to(self._repository) else None

    async def _freed(self, lock: Path) -> None:
        """Wait for the end of a git that was cancelled a moment ago, or whose hanoverd was killed; one that was killed
        itself will never free its lock, which is removed then.
        """
        begun = self._reactor.seconds()
        while True:
            try:
                # By its age, or, should the clock have been set, by what we have seen.
                age = max(time.time() - lock.stat().st_mtime, self._reactor.seconds() - begun)
                if age > _LOCKED_FOR:
                    lock.unlink()
                    return
            except FileNotFoundError:
                return
            except OSError as error:
                raise ObtainFailed(f"{lock} of a git that was killed cannot be removed: {error.strerror}") from None
            await sleep(self._reactor, _LOCK_EVERY)

    async def _has(self, commit: str) -> bool:
        return await self._try("cat-file", "-e", f"{commit}^{{commit}}") is not None

    async def _try(self, *arguments: str) -> str | None:
        """What git prints; None where it fails."""
        ended = await run(self._reactor, self._command(arguments, self._repository), self._environ, with_children=True)
        return ended.stdout.strip() if ended.code == 0 else None

    async def _git(self, *arguments: str, inside: Path | None = None) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = self._command(arguments, inside or self._repository)
        ended = await run(self._reactor, command, self._environ, cwd=str(self._folder), with_children=True)
        if ended.code != 0:
            verb = next(word for word in arguments if not word.startswith("-") and "=" not in word)
            said = (ended.stderr or ended.stdout).strip().replace(self._location.url, self._location.shown)
            raise ObtainFailed(
                f"git {verb} of {self._location.shown} failed: {said or f'exit status {ended.code}'}{_hint(said)}"
            )
        return ended.stdout.strip()

    def _command(self, arguments: Sequence[str], repository: Path) -> list[str]:
        where = [] if "init" in arguments or "clone" in arguments else ["-C", str(repository)]
        return ["git", *where, *arguments]

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Nobody else, in this process or another, changes the mirror meanwhile; freed by the end of the process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await sleep(self._reactor, _LOCK_EVERY)
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
    """The user's environment, in which neither git nor ssh asks anybody anything: there may be a terminal, and then
    they would wait for it.
    """
    silent = {
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS": environ.get("SSH_ASKPASS", "false"),
        # ssh asks at the terminal unless it is told to use the above (ssh(1), SSH_ASKPASS_REQUIRE).
        "SSH_ASKPASS_REQUIRE": "force",
        "GIT_SSH_COMMAND": environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20"),
        # Its words are read by people only, but not all of them read those of the user of a daemon.
        "LC_ALL": "C",
    }
    if "GIT_SSH" in environ and "GIT_SSH_COMMAND" not in environ:
        del silent["GIT_SSH_COMMAND"]
    # These would point git at another repository than the one that is meant.
    meant_elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    return {name: value for name, value in environ.items() if name not in meant_elsewhere} | silent


def _remove_git_files(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    for path in folder.rglob(".git"):
        # A submodule's is a file that says where its own is.
        if path.is_file():
            path.unlink()


def _hint(said: str) -> str:
    if "could not read Username" in said or "Authentication failed" in said:
        return ". Give git a credential helper, or use ssh (--git-protocol ssh)"
    if "Permission denied (publickey" in said or "Host key verification failed" in said:
        return ". ssh must get there without asking: give it a key (an agent's will do), and the host's in known_hosts"
    return ""
