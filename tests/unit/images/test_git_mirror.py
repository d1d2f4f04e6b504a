"""Copies of real git repositories, and the commits that may be built."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hanoverd.images import git_mirror
from hanoverd.runtime.errors import CommitRefused, ObtainFailed, StateRefused
from hanoverd.runtime.private_folder import MARKER
from hanoverd.spec.git_options import GitOptions
from tests.unit.images.git_case import GitCase


class MirrorTests(GitCase):
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

    async def test_a_repository_without_a_commit(self) -> None:
        self.assertIn("work has no branch yet", await self.error(self.mirror().update(None)))

    async def test_a_branch_whose_name_ends_like_another_is_not_taken_for_it(self) -> None:
        self.commit("a", "1")
        self.git("branch", "x/refs/heads/dev")
        self.assertIsNone(await self.mirror("dev").remote_head())
        self.assertIn("has no branch dev", await self.error(self.mirror("dev").update(None)))

    async def test_a_branch_or_tag_can_become_a_folder_of_others(self) -> None:
        self.commit("a", "1")
        for kind in ("branch", "tag"):
            self.git(kind, "x")
            await self.mirror("main").update(None)
            await self.mirror().update(self.git("rev-parse", "main"))
            self.git(kind, "-d", "x")
            self.git(kind, "x/y")
            self.commit("a", f"after {kind}")
        head = self.git("rev-parse", "main")
        self.assertEqual(await self.mirror("main").update(None), head)
        self.assertEqual(await self.mirror().update(head), head)
        self.assertEqual(await self.mirror("x/y").update(None), self.git("rev-parse", "refs/heads/x/y"))

    async def test_a_commit_is_described_by_the_last_tag(self) -> None:
        first = self.commit("a", "1")
        self.git("tag", "v1.0")
        second = self.commit("a", "2")
        mirror = self.mirror()
        await mirror.update(None)
        self.assertEqual(await mirror.describe(first), "v1.0")
        self.assertRegex(await mirror.describe(second), r"^v1\.0-1-g")

    async def test_an_error_of_git_names_the_repository(self) -> None:
        mirror = self.mirror()
        self.git("config", "core.repositoryformatversion", "99")
        with self.assertRaisesRegex(ObtainFailed, "git fetch of file://.*work failed: "):
            await mirror.update(None)

    async def test_copies_in_one_folder_take_turns(self) -> None:
        commit = self.commit("a", "1")
        updates = [Deferred.fromCoroutine(self.mirror().update(None)) for _ in range(3)]
        self.assertEqual([await update for update in updates], [commit] * 3)

    async def test_other_users_cannot_enter_the_folder_of_copies(self) -> None:
        self.commit("a", "1")
        await self.mirror().update(None)
        self.assertEqual((self.state / "mirrors").stat().st_mode & 0o777, 0o700)

    async def test_settings_that_were_put_into_a_copy_do_not_count(self) -> None:
        self.commit("a", "1")
        mirror = self.mirror("main")
        await mirror.update(None)
        ran = self.folder / "ran"
        repository = mirror.folder / "repository"
        with (repository / "config").open("a") as config:
            config.write(
                f"[core]\n\tfsmonitor = touch {ran}\n\thooksPath = {self.folder}\n\tsshCommand = touch {ran}\n"
            )
        hook = self.folder / "reference-transaction"
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
        (repository / "hooks").mkdir()
        (repository / "hooks" / "reference-transaction").symlink_to(hook)
        self.commit("a", "2")
        await self.files(mirror, await mirror.update(None))
        self.assertFalse(ran.exists())
        self.assertNotIn("fsmonitor", (repository / "config").read_text())

    async def test_copies_that_came_with_a_repository_are_refused(self) -> None:
        # A clone with a folder "mirrors", in which hanoverd is started with --state-dir .
        ran = self.folder / "ran"
        self.commit("a", "1")
        await self.mirror("main").update(None)
        copy = self.mirror("main").folder
        (copy / "repository" / "config").write_text(f"[core]\n\tfsmonitor = touch {ran}\n")
        (copy / "lock").unlink()
        (copy / "lock").symlink_to(self.folder / "victim")
        (self.state / "mirrors" / MARKER).write_text("created by hanoverd\n")
        with self.assertRaisesRegex(StateRefused, "was not created by hanoverd"):
            self.mirrors.check()
        for work in (self.mirror("main").update(None), self.mirror("main").remote_head()):
            self.assertIn("was not created by hanoverd", await self.error(work, StateRefused))
        self.assertFalse(ran.exists())

    async def test_a_lock_that_is_a_link_is_not_followed(self) -> None:
        self.commit("a", "1")
        await self.mirror("main").update(None)
        victim = self.folder / "victim"
        victim.write_text("content")
        lock = self.mirror().folder / "lock"
        lock.unlink()
        lock.symlink_to(victim)
        self.assertIn(f"cannot use {lock}", await self.error(self.mirror("main").update(None)))
        self.assertEqual(victim.read_text(), "content")

    async def test_a_git_that_does_not_know_the_settings_is_refused(self) -> None:
        old = self.folder / "old"
        old.mkdir()
        (old / "git").write_text('#!/bin/sh\nunset GIT_CONFIG_COUNT\nPATH=${PATH#*:} exec git "$@"\n')
        (old / "git").chmod(0o755)
        self.environ["PATH"] = f"{old}:{self.environ['PATH']}"
        self.assertIn("needs version 2.31", await self.error(self.mirror().update(None)))

    async def test_a_repository_above_the_state_folder_is_not_used(self) -> None:
        ran = self.folder / "ran"
        self.commit("a", "1")
        # As in a clone from elsewhere, in which hanoverd is started.
        self.state = self.repository("clone") / "state"
        self.git("config", f"url.ext::touch {ran}.insteadOf", "file://", cwd=self.folder / "clone")
        self.git("config", "protocol.ext.allow", "always", cwd=self.folder / "clone")
        self.assertEqual(await self.mirror().remote_head(), self.git("rev-parse", "HEAD"))
        self.assertFalse(ran.exists())

    async def test_a_copy_cannot_grow_beyond_the_limit(self) -> None:
        self.options = GitOptions(max_size=1024**2)
        self.commit("a", "1")
        await self.mirror("main").update(None)
        (self.work / "large").write_bytes(self.random(3 * 1024**2))
        self.commit("b", "1")
        message = await self.error(self.mirror("main").update(None))
        self.assertIn("larger than --git-max-size", message)
        packs = self.mirror().folder / "repository" / "objects" / "pack"
        # The next fetch removes what is left of it.
        self.git("reset", "--quiet", "--hard", "HEAD~1")
        await self.mirror("main").update(None)
        self.assertEqual(sum(pack.stat().st_size for pack in packs.iterdir()), 0)

    def random(self, size: int) -> bytes:
        with open("/dev/urandom", "rb") as source:
            return source.read(size)

    async def test_packs_are_put_together_and_unfinished_ones_removed(self) -> None:
        for setting in ("fetch.unpackLimit", "gc.autoPackLimit"):
            self.git("config", "--global", setting, "1")
        for number in range(4):
            self.commit("a", str(number))
            await self.mirror("main").update(None)
            packs = self.mirror().folder / "repository" / "objects" / "pack"
            self.assertEqual(len([*packs.glob("*.pack")]), 1)
            for name in ("tmp_pack_x", ".tmp-1-pack-x.pack"):
                (packs / name).touch()
        await self.mirror("main").update(None)
        self.assertEqual({path.name[:4] for path in packs.iterdir()}, {"pack"})

    async def test_a_repository_cannot_have_any_number_of_branches_and_tags(self) -> None:
        self.patch(git_mirror, "MAX_REFS", 100)
        self.patch(git_mirror, "_COUNT_INTERVAL", 0.01)
        commit = self.commit("a", "1")
        self.git("update-ref", "--stdin", stdin="".join(f"create refs/tags/t{n} {commit}\n" for n in range(2000)))
        self.assertIn("has more than 100 branches and tags", await self.error(self.mirror("main").update(None)))


class CommitTests(GitCase):
    """Which commits a trigger may name."""

    async def built(self, branch: str | None = "main") -> str:
        """Build the head of the branch, and return it."""
        commit = await self.mirror(branch).update(None)
        await self.mirror(branch).note_built(commit)
        return commit

    async def refused(self, commit: str, branch: str | None = "main") -> str:
        return await self.error(self.mirror(branch).update(commit), CommitRefused)

    async def test_a_commit_that_the_branch_has_moved_past_is_built_if_it_is_newer_than_the_last(self) -> None:
        self.commit("a", "1")
        await self.built()
        second = self.commit("a", "2")
        third = self.commit("a", "3")
        self.assertEqual(await self.mirror("main").update(second), second)
        self.assertEqual(await self.mirror("main").update(third), third)

    async def test_a_commit_that_is_on_no_branch_is_refused(self) -> None:
        self.commit("a", "1")
        head = await self.built()
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.git("checkout", "--quiet", "--detach")
        pulled = self.commit("a", "of a pull request")
        self.git("update-ref", "refs/pull/1/head", pulled)
        self.git("checkout", "--quiet", "main")
        message = await self.refused(pulled)
        self.assertIn(f"commit {pulled} is not on branch main of file://{self.work}", message)
        self.assertIn(f"its head is {head}", message)

    async def test_a_commit_of_another_branch_is_refused(self) -> None:
        self.commit("a", "1")
        await self.built()
        self.git("checkout", "--quiet", "-b", "dev")
        dev = self.commit("a", "2")
        await self.built("dev")
        self.assertIn("is not on branch main", await self.refused(dev))

    async def test_a_commit_that_does_not_exist_is_refused(self) -> None:
        self.commit("a", "1")
        await self.built()
        self.assertIn("is not on branch main", await self.refused("1" * 40))

    async def test_an_older_commit_than_the_one_built_last_is_refused_also_by_a_new_process(self) -> None:
        first = self.commit("a", "1")
        self.commit("a", "2")
        head = await self.built()
        message = await self.refused(first)
        self.assertIn(f"is older than {head}, which was built last", message)
        self.assertIn("hanoverd rollback", message)

    async def test_the_commit_built_last_can_be_named_again(self) -> None:
        self.commit("a", "1")
        await self.built()
        second = self.commit("a", "2")
        mirror = self.mirror("main")
        await mirror.note_built(await mirror.update(second))
        self.commit("a", "3")
        self.assertEqual(await mirror.update(second), second)

    async def test_a_refused_commit_does_not_hide_a_new_one(self) -> None:
        # A trigger cancels the handover of an earlier one, which may have named the head.
        first = self.commit("a", "1")
        self.commit("a", "2")
        await self.built()
        third = self.commit("a", "3")
        self.assertEqual(await self.mirror("main").update(first), third)
        self.assertEqual(await self.mirror("main").update("1" * 40), third)

    async def test_after_a_forced_push_the_branch_decides(self) -> None:
        first = self.commit("a", "1")
        lost = self.commit("a", "2")
        await self.built()
        self.git("reset", "--quiet", "--hard", first)
        self.assertEqual(await self.mirror("main").update(first), first)
        other = self.commit("a", "other")
        self.assertEqual(await self.mirror("main").update(other), other)
        await self.built()
        self.assertIn("is not on branch main", await self.refused(lost))

    async def test_a_merged_commit_that_lacks_what_was_built_is_refused(self) -> None:
        self.commit("a", "1")
        self.git("checkout", "--quiet", "-b", "dev")
        dev = self.commit("b", "1")
        self.git("checkout", "--quiet", "main")
        self.commit("a", "2")
        await self.built()
        self.git("merge", "--quiet", "--no-edit", "dev")
        await self.built()
        self.assertIn("is older than", await self.refused(dev))

    async def test_apps_and_branches_have_their_own_last_commits(self) -> None:
        first = self.commit("a", "1")
        self.commit("a", "2")
        await self.built()
        self.assertEqual(await self.mirror("main", app="other").update(first), first)

    async def test_without_a_branch_a_commit_of_any_branch_is_built(self) -> None:
        first = self.commit("a", "1")
        self.git("checkout", "--quiet", "-b", "dev")
        dev = self.commit("a", "2")
        self.git("checkout", "--quiet", "main")
        main = self.commit("a", "3")
        mirror = self.mirror()
        self.assertEqual(await mirror.update(dev), dev)
        await mirror.note_built(dev)
        self.assertEqual(await mirror.update(main), main)
        await mirror.note_built(main)
        self.assertEqual(await mirror.update(dev), dev)
        self.assertIn("older than", await self.refused(first, None))
        self.assertIn("is on no branch", await self.refused("1" * 40, None))
