"""What the tests of git repositories share: a real repository, and copies of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.images.git_checkout import Checkouts
from hanoverd.images.git_leftovers import STALE_LOCK_SECONDS
from hanoverd.images.git_mirror import Mirror, Mirrors
from hanoverd.runtime.errors import HanoverdError, ObtainFailed
from hanoverd.spec.git_location import GitLocation, parse_git
from hanoverd.spec.git_options import GitOptions

REACTOR: Any = reactor


class GitCase(TestCase):
    """A repository in the folder ``work``, and a state folder."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.state = self.folder / "state"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example",
        }
        self.work = self.repository("work")
        self.options = GitOptions()

    def repository(self, name: str) -> Path:
        """Create a repository."""
        path = self.folder / name
        self.git("init", "--quiet", "--initial-branch=main", str(path), cwd=self.folder)
        return path

    def git(self, *arguments: str, cwd: Path | None = None, stdin: str | None = None) -> str:
        """Run git in the repository."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.work,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
            input=stdin,
        )
        return done.stdout.strip()

    def commit(self, name: str, content: str, *, cwd: Path | None = None) -> str:
        """Commit a file, and return the commit."""
        path = (cwd or self.work) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.git("add", "--all", cwd=cwd)
        self.git("commit", "--quiet", "--message", name, cwd=cwd)
        return self.git("rev-parse", "HEAD", cwd=cwd)

    def location(self, branch: str | None = None) -> GitLocation:
        """Return the location of the repository."""
        return GitLocation(f"file://{self.work}", "h/me/app", branch, "")

    @property
    def mirrors(self) -> Mirrors:
        """The copies in the state folder, as a new process finds them."""
        return Mirrors(REACTOR, self.environ, self.state, self.options)

    def mirror(
        self, branch: str | None = None, *, app: str = "app", stale_lock_seconds: float = STALE_LOCK_SECONDS
    ) -> Mirror:
        """Return the copy of the repository, as a new process finds it."""
        return self.mirrors.at(self.location(branch), app, stale_lock_seconds)

    def mirror_at(self, url: str) -> Mirror:
        """Return the copy of another repository."""
        return self.mirrors.at(parse_git(url, "https"))

    @property
    def checkouts(self) -> Checkouts:
        """Checks out commits."""
        return Checkouts(self.mirrors)

    async def files(self, mirror: Mirror, commit: str) -> dict[str, str]:
        """Return the files of a checkout, by their paths, with their contents."""
        async with self.checkouts.of(mirror, commit) as checkout:
            return {
                str(path.relative_to(checkout)): path.read_text()
                for path in sorted(checkout.rglob("*"))
                if path.is_file()
            }

    async def error(self, work: Awaitable[object], kind: type[HanoverdError] = ObtainFailed) -> str:
        """Return the message with which ``work`` fails."""
        with self.assertRaises(kind) as raised:
            await work
        return str(raised.exception)

    def ssh(self, script: str) -> None:
        """Let ``script`` be the ssh through which git reaches hosts: all that it prints comes from the host."""
        program = self.folder / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        self.environ["GIT_SSH_COMMAND"] = str(program)
