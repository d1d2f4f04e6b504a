"""Checkouts of real git repositories: of one commit, its submodules, and hostile ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from hanoverd.images import git_tree
from hanoverd.spec.git_options import GitOptions
from tests.unit.images.git_case import GitCase

#: More levels than Python's recursion limit.
DEEP = 1100


class CheckoutTests(GitCase):
    async def checked_out(self, commit: str) -> dict[str, str]:
        """Return the files of a commit."""
        mirror = self.mirror()
        await mirror.update(None)
        return await self.files(mirror, commit)

    async def refused(self, commit: str) -> str:
        """Return the message with which the checkout of a commit fails."""
        mirror = self.mirror()
        await mirror.update(None)
        return await self.error(self.files(mirror, commit))

    def leftovers(self) -> list[Path]:
        return [*self.state.rglob("checkouts/*")]

    def tree(self, *entries: str) -> str:
        """Create a tree from entries of ``git mktree``, also one that git itself does not create."""
        return self.git("mktree", "--missing", stdin="\n".join(entries) + "\n")

    def blob(self, content: str) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content)

    def commit_tree(self, tree: str) -> str:
        commit = self.git("commit-tree", tree, "-m", "x")
        self.git("update-ref", "refs/heads/main", commit)
        return commit

    async def test_a_checkout_has_the_files_of_the_commit_only_and_is_removed(self) -> None:
        first = self.commit("sub/a", "1")
        self.commit("sub/a", "2")
        self.assertEqual(await self.checked_out(first), {"sub/a": "1"})
        self.assertEqual(self.leftovers(), [])

    async def test_the_checkouts_of_a_process_that_was_killed_are_removed(self) -> None:
        commit = self.commit("a", "1")
        mirror = self.mirror()
        await mirror.update(None)
        ended = subprocess.Popen(["true"])
        ended.wait()
        abandoned, used = (mirror.folder / "checkouts" / f"abc-{pid}-0" for pid in (ended.pid, os.getpid()))
        for folder in (abandoned, used):
            folder.mkdir(parents=True)
        async with self.checkouts.of(mirror, commit):
            self.assertFalse(abandoned.exists())
        self.assertTrue(used.exists())

    async def test_files_have_the_modes_of_the_repository_whatever_the_umask(self) -> None:
        (self.work / "run").write_text("#!/bin/sh\n")
        (self.work / "run").chmod(0o755)
        commit = self.commit("sub/a", "1")
        self.addCleanup(os.umask, os.umask(0o077))
        mirror = self.mirror()
        await mirror.update(None)
        async with self.checkouts.of(mirror, commit) as checkout:
            modes = {name: (checkout / name).stat().st_mode & 0o777 for name in ("run", "sub", "sub/a")}
        self.assertEqual(modes, {"run": 0o755, "sub": 0o755, "sub/a": 0o644})

    async def test_a_deep_path_is_checked_out_and_removed(self) -> None:
        self.assertLess(sys.getrecursionlimit(), DEEP)
        tree = self.tree(f"100644 blob {self.blob('deep')}\ta")
        for _ in range(DEEP):
            tree = self.tree(f"040000 tree {tree}\td")
        commit = self.commit_tree(tree)
        mirror = self.mirror()
        await mirror.update(None)
        async with self.checkouts.of(mirror, commit) as checkout:
            self.assertEqual(Path(checkout, *["d"] * DEEP, "a").read_text(), "deep")
        self.assertEqual(self.leftovers(), [])
        # Later builds are not affected.
        self.assertEqual(
            await self.checked_out(self.commit_tree(self.tree(f"100644 blob {self.blob('1')}\ta"))), {"a": "1"}
        )

    async def test_few_objects_cannot_become_many_files(self) -> None:
        # Ten levels of ten entries each: 10,000,000,000 files.
        self.patch(git_tree, "MAX_ENTRIES", 1000)
        tree = self.tree(*(f"100644 blob {self.blob('x')}\tf{n}" for n in range(10)))
        for _ in range(9):
            tree = self.tree(*(f"040000 tree {tree}\td{n}" for n in range(10)))
        begun = time.monotonic()
        self.assertIn("has more than 1000 files and folders", await self.refused(self.commit_tree(tree)))
        self.assertLess(time.monotonic() - begun, 20)

    async def test_few_objects_cannot_fill_the_disk(self) -> None:
        self.options = GitOptions(max_size=64 * 1024**2)
        blob = self.blob("\0" * 1024**2)
        commit = self.commit_tree(self.tree(*(f"100644 blob {blob}\tf{n}" for n in range(100))))
        self.assertIn("has files of more than 67108864 bytes in total (--git-max-size)", await self.refused(commit))

    async def test_the_files_of_git_cannot_be_in_a_commit(self) -> None:
        inner = self.tree(f"100644 blob {self.blob('[core]')}\tconfig")
        for name in (".git", ".GIT", ".Git", "git~1", ".g\u200cit"):
            tree = self.tree(f"040000 tree {inner}\t{name}")
            with self.subTest(name):
                self.assertIn("invalid path", await self.refused(self.commit_tree(tree)))
                self.assertEqual(self.leftovers(), [])

    async def test_a_path_cannot_lead_out_of_the_checkout(self) -> None:
        inner = self.tree(f"100644 blob {self.blob('x')}\tescaped")
        tree = self.tree(f"040000 tree {inner}\t..")
        self.assertIn("invalid path", await self.refused(self.commit_tree(tree)))
        self.assertEqual([*self.folder.rglob("escaped")], [])

    async def test_a_link_of_the_repository_is_not_followed_by_git(self) -> None:
        outside = self.folder / "outside"
        outside.mkdir()
        target, blob = self.blob(str(outside)), self.blob("x")
        # Twice the same name: a link, and a folder with a file in it.
        folder = self.tree(f"100644 blob {blob}\tfile")
        raw = b"".join(mode + b" sub\0" + bytes.fromhex(sha) for mode, sha in ((b"120000", target), (b"40000", folder)))
        done = subprocess.run(
            ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
            cwd=self.work,
            env=self.environ,
            input=raw,
            capture_output=True,
            check=True,
        )
        commit = self.commit_tree(done.stdout.decode().strip())
        mirror = self.mirror()
        await mirror.update(None)
        try:
            await self.files(mirror, commit)
        finally:
            self.assertEqual([*outside.iterdir()], [])

    async def test_filters_of_the_users_configuration_run(self) -> None:
        # As that of git LFS, which needs to know the URL and the folder of git.
        self.git(
            "config", "--global", "filter.own.smudge", "cat; git config remote.origin.url; git rev-parse --git-dir"
        )
        (self.work / ".gitattributes").write_text("a filter=own\n")
        commit = self.commit("a", "1\n")
        content = (await self.checked_out(commit))["a"].splitlines()
        self.assertEqual(content, ["1", f"file://{self.work}", str(self.mirror().folder / "repository")])

    async def test_filters_that_only_the_repository_names_do_not_run(self) -> None:
        (self.work / ".gitattributes").write_text("* filter=evil\n")
        commit = self.commit("a", "1")
        self.assertEqual((await self.checked_out(commit))["a"], "1")


class SubmoduleTests(GitCase):
    def setUp(self) -> None:
        super().setUp()
        self.library = self.repository("library")
        self.pinned = self.commit("b", "of the library", cwd=self.library)
        self.commit("b", "newer", cwd=self.library)
        self.commit("a", "1")

    def add(
        self, url: str | None = None, path: str = "lib", *, work: Path | None = None, commit: str | None = None
    ) -> str:
        """Add a submodule, and return the commit that has it."""
        work = work or self.work
        with (work / ".gitmodules").open("a") as modules:
            modules.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = "{url or f"file://{self.library}"}"\n')
        self.git("add", "--all", cwd=work)
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit or self.pinned},{path}", cwd=work)
        self.git("commit", "--quiet", "--message", "a submodule", cwd=work)
        return self.git("rev-parse", "HEAD", cwd=work)

    def allow(self, *allowed: str) -> None:
        self.options = GitOptions(submodules=allowed)

    @property
    def allowed_library(self) -> str:
        return f"localhost{self.library}"

    async def checked_out(self, commit: str) -> dict[str, str]:
        mirror = self.mirror()
        await mirror.update(None)
        return await self.files(mirror, commit)

    async def test_a_commit_with_a_submodule_is_refused_by_default_and_nothing_is_fetched(self) -> None:
        commit = self.add()
        message = await self.error(self.checked_out(commit))
        self.assertIn(
            f"commit {commit} of file://{self.work} has the submodule 'lib', from file://{self.library}", message
        )
        self.assertIn(f"add --git-submodules {self.allowed_library}", message)
        self.assertFalse((self.state / "mirrors/localhost").exists())

    async def test_an_allowed_submodule_is_checked_out_and_fetched_once(self) -> None:
        commit = self.add()
        self.allow("h/me/other", self.allowed_library)
        files = await self.checked_out(commit)
        self.assertEqual(files["lib/b"], "of the library")
        self.assertEqual(sorted(files), [".gitmodules", "a", "lib/b"])
        self.library.rename(self.folder / "gone")
        self.allow(f"localhost{self.folder}/*")
        self.assertEqual(await self.checked_out(commit), files)

    async def test_others_are_still_refused(self) -> None:
        self.allow("h/me/library", f"localhost{self.library}x", "localhost/elsewhere/*")
        self.assertIn("which is not allowed", await self.error(self.checked_out(self.add())))

    async def test_none_leaves_the_folders_empty(self) -> None:
        self.allow("none")
        self.assertEqual(sorted(await self.checked_out(self.add())), [".gitmodules", "a"])

    async def test_a_submodule_of_a_submodule_must_be_allowed_too(self) -> None:
        inner = self.repository("inner")
        pinned = self.commit("c", "of the inner one", cwd=inner)
        middle = self.add("../inner", "deep/in", work=self.library, commit=pinned)
        commit = self.add(commit=middle)
        self.allow(self.allowed_library)
        self.assertIn(f"from file://{inner}, which is not allowed", await self.error(self.checked_out(commit)))
        self.allow(self.allowed_library, f"localhost{inner}")
        self.assertEqual((await self.checked_out(commit))["lib/deep/in/c"], "of the inner one")

    async def test_a_repository_cannot_contain_itself_without_end(self) -> None:
        pinned = self.git("rev-parse", "HEAD")
        for _ in range(7):
            pinned = self.add(f"file://{self.work}", commit=pinned)
        self.allow(f"localhost{self.work}")
        self.assertIn("nested too deep", await self.error(self.checked_out(pinned)))

    async def test_a_submodule_without_a_url_and_with_a_bad_one(self) -> None:
        self.allow("localhost/*")
        self.git("update-index", "--add", "--cacheinfo", f"160000,{self.pinned},x")
        self.git("commit", "--quiet", "--message", "x")
        self.assertIn("does not say where it is", await self.error(self.checked_out(self.git("rev-parse", "HEAD"))))
        for url in (
            "ext::sh -c x",
            "-u./x",
            "/etc",
            "http://h/a/b",
            "git://h/a/b",
            "file:///a/../b",
            "https://h/a/b#x",
        ):
            with self.subTest(url):
                self.assertIn("cannot be used", await self.error(self.checked_out(self.add(url, "x"))))
            self.git("reset", "--quiet", "--hard", "HEAD~1")

    async def test_a_submodule_counts_for_the_limits(self) -> None:
        commit = self.add()
        self.allow(self.allowed_library)
        self.patch(git_tree, "MAX_ENTRIES", 3)
        self.assertIn("has more than 3 files", await self.error(self.checked_out(commit)))

    async def test_gitmodules_that_is_a_link_is_not_followed(self) -> None:
        outside = self.folder / "outside"
        outside.write_text(f'[submodule "x"]\n\tpath = lib\n\turl = file://{self.library}\n')
        link = self.git("hash-object", "-w", "--stdin", stdin=str(outside))
        entries = f"120000 blob {link}\t.gitmodules\n160000 commit {self.pinned}\tlib\n"
        commit = self.git("commit-tree", self.git("mktree", stdin=entries), "-m", "x")
        self.git("update-ref", "refs/heads/main", commit)
        self.allow(self.allowed_library)
        self.assertIn("does not say where it is", await self.error(self.checked_out(commit)))
