"""Mirrors and checkouts of real git repositories."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hanoverd.images import quirks
from hanoverd.images.git_program import Mirror
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.spec.git_location import GitLocation

REACTOR: Any = reactor


class MirrorTests(TestCase):
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
            "GIT_ALLOW_PROTOCOL": "file",
        }
        self.work = self.folder / "work"
        self.git("init", "--quiet", "--initial-branch=main", str(self.work), cwd=self.folder)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git in the repository."""
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.work, env=self.environ, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, name: str, content: str) -> str:
        """Commit a file, and return the commit."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", name)
        return self.git("rev-parse", "HEAD")

    def mirror(self, branch: str | None = None, **options: Any) -> Mirror:
        location = GitLocation(f"file://{self.work}", "h/me/app", branch, "")
        return Mirror(REACTOR, self.environ, location, self.state, **options)

    async def test_an_update_returns_the_head_of_the_default_branch(self) -> None:
        first = self.commit("a", "1")
        mirror = self.mirror()
        self.assertEqual(await mirror.update(None), first)
        second = self.commit("a", "2")
        self.assertEqual(await mirror.remote_head(), second)
        self.assertEqual(await mirror.update(None), second)
        self.assertEqual(await mirror.update(first), first)

    async def test_a_branch_and_a_missing_branch(self) -> None:
        self.commit("a", "1")
        self.git("checkout", "--quiet", "-b", "dev")
        dev = self.commit("a", "2")
        self.git("checkout", "--quiet", "main")
        self.assertEqual(await self.mirror("dev").update(None), dev)
        with self.assertRaisesRegex(ObtainFailed, "work has no branch other"):
            await self.mirror("other").update(None)
        self.assertIsNone(await self.mirror("other").remote_head())

    async def test_a_branch_can_become_a_folder_of_branches(self) -> None:
        self.commit("a", "1")
        self.git("branch", "x")
        mirror = self.mirror("x/y")
        with self.assertRaises(ObtainFailed):
            await mirror.update(None)
        self.git("branch", "-D", "x")
        self.git("branch", "x/y")
        self.assertEqual(await mirror.update(None), self.git("rev-parse", "x/y"))

    async def test_a_commit_that_is_on_no_branch_is_fetched_by_its_name(self) -> None:
        self.commit("a", "1")
        lost = self.commit("a", "2")
        self.git("reset", "--quiet", "--hard", "HEAD~1")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.assertEqual(await self.mirror().update(lost), lost)

    async def test_a_commit_is_described_by_the_last_tag(self) -> None:
        first = self.commit("a", "1")
        self.git("tag", "v1.0")
        second = self.commit("a", "2")
        mirror = self.mirror()
        await mirror.update(None)
        self.assertEqual(await mirror.describe(first), "v1.0")
        self.assertRegex(await mirror.describe(second), r"^v1\.0-1-g")

    async def test_a_checkout_has_the_files_of_the_commit_only_and_is_removed(self) -> None:
        first = self.commit("sub/a", "1")
        self.commit("sub/a", "2")
        mirror = self.mirror()
        await mirror.update(None)
        async with mirror.checkout(first) as checkout:
            self.assertEqual((checkout / "sub" / "a").read_text(), "1")
            self.assertEqual([path.name for path in checkout.iterdir()], ["sub"])
        self.assertFalse(checkout.exists())
        self.assertEqual(list((self.state / "checkouts").iterdir()), [])

    async def test_submodules_are_checked_out_and_kept(self) -> None:
        library = self.folder / "library"
        self.git("init", "--quiet", "--initial-branch=main", str(library), cwd=self.folder)
        (library / "b").write_text("library")
        self.git("add", "--all", cwd=library)
        self.git("commit", "--quiet", "--message", "b", cwd=library)
        self.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{library}", "lib")
        commit = self.commit("a", "1")
        mirror = self.mirror()
        await mirror.update(None)
        for _ in range(2):
            async with mirror.checkout(commit) as checkout:
                self.assertEqual((checkout / "lib" / "b").read_text(), "library")
                self.assertEqual(sorted(path.name for path in checkout.rglob("*")), [".gitmodules", "a", "b", "lib"])
        self.assertTrue((self.state / "modules" / "lib").exists())

    async def test_the_checkouts_of_a_process_that_was_killed_are_removed(self) -> None:
        commit = self.commit("a", "1")
        mirror = self.mirror()
        await mirror.update(None)
        ended = subprocess.Popen(["true"])
        ended.wait()
        abandoned, used = (self.state / "checkouts" / f"abc-{pid}-0" for pid in (ended.pid, os.getpid()))
        for folder in (abandoned, used):
            folder.mkdir(parents=True)
        async with mirror.checkout(commit):
            self.assertFalse(abandoned.exists())
        self.assertTrue(used.exists())

    async def test_an_error_of_git_names_the_repository(self) -> None:
        mirror = self.mirror()
        self.git("config", "core.repositoryformatversion", "99")
        with self.assertRaisesRegex(ObtainFailed, "git fetch of file://.*work failed: "):
            await mirror.update(None)

    async def test_two_mirrors_in_one_folder_take_turns(self) -> None:
        commit = self.commit("a", "1")
        updates = [Deferred.fromCoroutine(self.mirror().update(None)) for _ in range(3)]
        self.assertEqual([await update for update in updates], [commit] * 3)

    def hold_a_lock(self) -> Path:
        """As a git that was killed leaves it."""
        lock = self.state / "mirror.git" / "refs" / "heads" / "main.lock"
        lock.touch()
        return lock

    async def test_a_lock_that_is_too_old_is_removed(self) -> None:
        self.commit("a", "1")
        mirror = self.mirror(stale_lock_seconds=10.0)
        await mirror.update(None)
        second = self.commit("a", "2")
        lock = self.hold_a_lock()
        os.utime(lock, (time.time() - 60,) * 2)
        self.assertEqual(await mirror.update(None), second)
        self.assertFalse(lock.exists())

    async def test_the_end_of_another_git_is_waited_for(self) -> None:
        self.commit("a", "1")
        mirror = self.mirror(stale_lock_seconds=60.0)
        await mirror.update(None)
        second = self.commit("a", "2")
        lock = self.hold_a_lock()
        update = Deferred.fromCoroutine(mirror.update(None))
        await sleep(REACTOR, 0.5)
        self.assertFalse(update.called)
        lock.unlink()
        self.assertEqual(await update, second)

    def test_the_text_of_git_for_a_held_lock(self) -> None:
        self.commit("a", "1")
        lock = self.work / ".git" / "index.lock"
        lock.touch()
        with self.assertRaises(subprocess.CalledProcessError) as raised:
            self.git("add", "--all")
        self.assertEqual(quirks.held_lock(raised.exception.stderr), lock)
        self.assertIsNone(quirks.held_lock("fatal: not a git repository"))

    def test_the_text_of_git_for_a_missing_login(self) -> None:
        error = "fatal: could not read Username for 'https://h': terminal prompts disabled"
        self.assertTrue(quirks.is_login_missing(error))
        self.assertFalse(quirks.is_ssh_key_missing(error))
        self.assertTrue(quirks.is_ssh_key_missing("git@h: Permission denied (publickey)."))
