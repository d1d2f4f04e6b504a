"""Images from repositories, served by git http-backend behind HTTPS and by OpenSSH."""

from __future__ import annotations

import os
import time
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from hanoverd.images.git import GitSource
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import CommitRefused, UsageError
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.git_options import GitOptions
from tests.integration.source_case import REACTOR, SOON, TINY, SourceCase
from tests.lab.git import PASSWORD, USER, Host, Repository, https_host, ssh_host
from tests.lab.images import BASE


class GitCase(SourceCase):
    """A host with the repository ``me/app``."""

    def setUp(self) -> None:
        super().setUp()
        self.hosted = self.folder / "hosted"
        self.app = Repository(self.folder / "work", self.hosted / "me" / "app")

    def host(self, *, login: bool = False) -> Host:
        """Serve the repository."""
        serving = https_host(self.hosted, login=login)
        host = serving.__enter__()
        self.addCleanup(serving.__exit__, None, None, None)
        return host

    def source(
        self,
        host: Host,
        text: str = "",
        *,
        build: BuildOptions | None = None,
        git: GitOptions | None = None,
        **environ: str,
    ) -> GitSource:
        """Return a source of the repository."""
        context = self.context(build=build, git=git, environ={**host.environ, **environ}, app="app")
        return GitSource(f"{host.name}/me/app{text}", context)

    @property
    def checkouts(self) -> list[Path]:
        """Return the present checkouts."""
        return [path for path in self.folder.glob("mirrors/**/checkouts/*") if path.is_dir()]

    def mirror(self, host: Host) -> Path:
        """Return the folder of the copy of the repository."""
        return self.folder / f"mirrors/127.0.0.1/{host.port}/me/app.git"


class GitTests(GitCase):
    async def test_the_head_of_the_branch_is_built_and_only_what_is_new_is_fetched(self) -> None:
        host = self.host()
        first = self.app.commit({"Dockerfile": TINY % "one"}, tag="v1.0")
        source = self.source(host, "#main")
        image = await self.obtain(source)
        self.assertEqual((self.label(image), image.revision), ("one", first))
        self.assertEqual(image.name.reference, "hanoverd/app:v1.0")
        self.assertTrue((self.mirror(host) / "repository").is_dir())
        second = self.app.commit({"Dockerfile": TINY % "two"})
        self.assertEqual(await source.newest(), second)
        image = await self.obtain(source)
        self.assertEqual((self.label(image), image.revision), ("two", second))
        self.assertEqual(image.name.tag, f"v1.0-1-g{second[:7]}")
        self.assertEqual(self.checkouts, [])

    async def test_a_message_selects_the_commit_even_if_the_branch_has_moved(self) -> None:
        host = self.host()
        first = self.app.commit({"Dockerfile": TINY % "one"})
        second = self.app.commit({"Dockerfile": TINY % "two"})
        self.app.commit({"Dockerfile": TINY % "three"})
        source = self.source(host, "#main")
        self.assertEqual(self.label(await self.obtain(source, second)), "two")
        # The head is new, so an old message does not hide it.
        self.assertEqual(self.label(await self.obtain(source, first)), "three")
        self.assertIn("is older than", await self.fails(self.obtain(source, first), CommitRefused))

    async def test_a_commit_that_is_not_on_the_branch_is_refused(self) -> None:
        host = self.host()
        first = self.app.commit({"Dockerfile": TINY % "one"})
        source = self.source(host, "#main")
        await self.obtain(source)
        pulled = self.app.commit({"Dockerfile": TINY % "pulled"}, branch="pulled")
        self.app.git("push", "--quiet", "origin", "pulled:refs/pull/1/head")
        self.assertIn("is not on branch main", await self.fails(self.obtain(source, pulled), CommitRefused))
        # After a forced push, the branch decides.
        self.app.git("checkout", "--quiet", "--orphan", "other")
        third = self.app.commit({"Dockerfile": TINY % "three"}, branch="other")
        self.app.git("push", "--quiet", "--force", "origin", "other:main")
        self.assertEqual(self.label(await self.obtain(source, third)), "three")
        self.assertIn("is not on branch main", await self.fails(self.obtain(source, first), CommitRefused))
        self.assertEqual(await source.newest(), third)

    async def test_the_default_branch_and_one_of_its_folders_are_built(self) -> None:
        self.app.commit({"web/Dockerfile": f"{TINY % 'web'}COPY . /src\n", "web/page": "x", "Dockerfile": TINY % "top"})
        host = self.host()
        self.assertEqual(self.label(await self.obtain(self.source(host, "#:web"))), "web")
        self.assertEqual(self.label(await self.obtain(self.source(host))), "top")
        self.assertIn("has no folder nothing at", await self.fails(self.obtain(self.source(host, "#:nothing"))))

    async def test_a_dockerfile_of_another_name_is_built(self) -> None:
        self.app.commit({"docker/web": TINY % "other"})
        image = await self.obtain(self.source(self.host(), build=BuildOptions(file="docker/web")))
        self.assertEqual(self.label(image), "other")

    async def test_links_out_of_the_repository_are_refused(self) -> None:
        host = self.host()
        (self.app.work / "etc").symlink_to("/etc")
        (self.app.work / "Dockerfile").symlink_to("/etc/passwd")
        self.app.commit({})
        self.assertIn("has no folder etc", await self.fails(self.obtain(self.source(host, "#main:etc"))))
        self.assertIn("is a link to a file outside it", await self.fails(self.obtain(self.source(host, "#main"))))

    async def test_links_that_lead_nowhere_are_refused(self) -> None:
        host = self.host()
        (self.app.work / "loop").symlink_to("loop")
        for number in range(1100):
            (self.app.work / f"link{number}").symlink_to(f"link{number + 1}")
        (self.app.work / "Dockerfile").symlink_to("Dockerfile")
        self.app.commit({})
        self.assertIn("has no folder loop", await self.fails(self.obtain(self.source(host, "#main:loop"))))
        self.assertIn("is a link to a file outside it", await self.fails(self.obtain(self.source(host, "#main"))))
        build = BuildOptions(file="link0")
        message = await self.fails(self.obtain(self.source(host, "#main", build=build)))
        self.assertIn("is a link to a file outside it", message)

    async def test_submodules_are_included_and_fetched_once(self) -> None:
        host = self.host()
        part = Repository(self.folder / "part-work", self.hosted / "me" / "part")
        part.commit({"content": "of the part"})
        self.app.commit({"Dockerfile": f'FROM {BASE}\nCOPY part/content /content\nRUN ["sh", "-c", "! ls /.git"]\n'})
        self.app.git("submodule", "--quiet", "add", str(part.bare), "part")
        self.app.git("config", "--file", ".gitmodules", "submodule.part.url", "../part")
        self.app.commit({})
        self.assertIn("add --git-submodules 127", await self.fails(self.obtain(self.source(host, "#main"))))
        source = self.source(host, "#main", git=GitOptions(submodules=(f"{host.name}/me/*",)))
        await self.obtain(source)
        part.bare.rename(part.bare.with_name("gone"))
        self.app.commit({"more": "x"})
        await self.obtain(source)

    async def test_a_missing_name_is_reported(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": TINY % "one"})
        self.assertIn("has no branch none", await self.fails(self.obtain(self.source(host, "#none"))))
        missing = "1" * 40
        self.assertIn("is on no branch", await self.fails(self.obtain(self.source(host), missing)))
        elsewhere = GitSource(f"{host.name}/me/nothing", self.context(environ=host.environ))
        self.assertIn("not found", await self.fails(self.obtain(elsewhere)))

    async def test_a_host_that_does_not_answer_fails_the_handover_even_if_the_commit_is_known(self) -> None:
        serving = https_host(self.hosted)
        host = serving.__enter__()
        commit = self.app.commit({"Dockerfile": TINY % "one"})
        source = self.source(host, "#main")
        await self.obtain(source)
        (self.hosted / "cut").touch()
        self.app.commit({"Dockerfile": TINY % "two"})
        self.assertIn("git fetch of", await self.fails(self.obtain(source)))
        (self.hosted / "cut").unlink()
        serving.__exit__(None, None, None)
        self.assertIn("git fetch of", await self.fails(self.obtain(source)))
        self.assertIn("git fetch of", await self.fails(self.obtain(source, commit)))
        self.assertEqual(self.checkouts, [])

    async def test_a_login_comes_from_a_credential_helper_and_never_from_a_prompt(self) -> None:
        host = self.host(login=True)
        self.app.commit({"Dockerfile": TINY % "one"})
        message = await self.fails(self.obtain(self.source(host, "#main")))
        self.assertIn("could not read Username", message)
        self.assertIn("--git-protocol ssh", message)
        helper = self.folder / "git-helper"
        helper.write_text(f"#!/bin/sh\necho username={USER}\necho password={PASSWORD}\n")
        helper.chmod(0o755)
        (self.folder / "gitconfig").write_text(f"[credential]\n\thelper = {helper}\n")
        source = self.source(host, "#main", GIT_CONFIG_GLOBAL=str(self.folder / "gitconfig"))
        self.assertEqual(self.label(await self.obtain(source)), "one")

    async def test_a_password_in_the_url_appears_in_no_message(self) -> None:
        host = self.host(login=True)
        self.app.commit({"Dockerfile": TINY % "one"})
        good = GitSource(f"https://{USER}:{PASSWORD}@{host.name}/me/app", self.context(environ=host.environ))
        self.assertEqual(self.label(await self.obtain(good)), "one")
        bad = GitSource(f"https://{USER}:{PASSWORD}@{host.name}/me/none", self.context(environ=host.environ))
        message = await self.fails(self.obtain(bad))
        self.assertNotIn(PASSWORD, f"{message}{good.describe()}{self.progress}")

    async def test_an_untrusted_certificate_is_refused(self) -> None:
        host = self.host()
        context = self.context()
        message = await self.fails(self.obtain(GitSource(f"{host.name}/me/app", context)))
        self.assertIn("certificate", message)

    async def test_a_fetch_can_be_cancelled(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": TINY % "one"})
        (self.hosted / "stall").touch()
        work = Deferred.fromCoroutine(self.obtain(self.source(host, "#main")))
        await self.until(lambda: any(self.folder.glob("mirrors/**/lock")))
        await sleep(REACTOR, 0.5)
        self.assertLess(await self.cancelled(work), SOON)
        (self.hosted / "stall").unlink()
        self.assertEqual(self.label(await self.obtain(self.source(host, "#main"))), "one")

    async def test_a_cancelled_build_removes_its_checkout(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": f'FROM {BASE}\nRUN ["busybox", "sleep", "60"]\n'})
        work = Deferred.fromCoroutine(self.obtain(self.source(host, "#main")))
        await self.until(lambda: self.checkouts and len(self.containers()) == 1)
        self.assertLess(await self.cancelled(work), SOON)
        self.assertEqual(self.checkouts, [])
        await self.until(lambda: self.containers() == [])

    async def test_the_same_commit_can_be_built_many_times_at_once(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": TINY % "one"})
        works = [Deferred.fromCoroutine(self.obtain(self.source(host, "#main"))) for _ in range(5)]
        images = await gatherResults(works)
        self.assertEqual({self.label(image) for image in images}, {"one"})
        self.assertEqual(self.checkouts, [])

    async def test_checkouts_of_killed_processes_are_removed(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": TINY % "one"})
        source = self.source(host, "#main")
        await self.obtain(source)
        folder = self.mirror(host) / "checkouts"
        (folder / "0123456789ab-999999999-0").mkdir()
        (folder / f"0123456789ab-{os.getpid()}-999").mkdir()
        await self.obtain(source)
        self.assertEqual([path.name for path in self.checkouts], [f"0123456789ab-{os.getpid()}-999"])

    async def test_a_held_lock_is_waited_for_and_the_lock_of_a_killed_git_is_removed(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": TINY % "one"})
        source = self.source(host, "#main")
        await self.obtain(source)
        self.app.commit({"Dockerfile": TINY % "two"})
        lock = self.mirror(host) / "repository/refs/hanoverd/main.lock"
        lock.touch()
        work = Deferred.fromCoroutine(self.obtain(source))
        await sleep(REACTOR, 2)
        self.assertFalse(work.called)
        lock.unlink()
        self.assertEqual(self.label(await work), "two")
        self.app.commit({"Dockerfile": TINY % "three"})
        lock.touch()
        os.utime(lock, (0, 0))
        self.assertEqual(self.label(await self.obtain(source)), "three")
        self.assertFalse(lock.exists())
        # A cancel does not wait for it either.
        self.app.commit({"Dockerfile": TINY % "four"})
        lock.touch()
        work = Deferred.fromCoroutine(self.obtain(source))
        await sleep(REACTOR, 1)
        self.assertLess(await self.cancelled(work), SOON)
        lock.unlink()

    async def test_file_modes_are_preserved(self) -> None:
        self.app.commit({"Dockerfile": f'FROM {BASE}\nCOPY run /run\nRUN ["/run"]\n', "run": "#!/bin/sh\ntrue\n"})
        (self.app.work / "run").chmod(0o755)
        self.app.commit({})
        await self.obtain(self.source(self.host()))

    def test_no_option_of_git_can_be_injected(self) -> None:
        for text in (
            "--upload-pack=touch${IFS}x/a/b",
            "-x/a/b",
            "h/../../a",
            "h/a/b#--force",
            "h/a/b#-x",
            "h/a/b#a..b",
            "h/a/b#a b",
            "h/a/b#a:../../etc",
            "h/a/b\n#main",
            "ext::sh -c x",
            "https://h/../../etc",
            "-x@h:a/b",
            "https://-x/a/b",
        ):
            with self.assertRaises(UsageError, msg=text):
                GitSource(text, self.context())

    async def test_no_option_of_git_can_be_injected_by_a_message(self) -> None:
        host = self.host()
        self.app.commit({"Dockerfile": TINY % "one"})
        for revision in ("--upload-pack=x", "main", "1" * 39, "1" * 41, "HEAD", "0" * 40, f"{'1' * 40}\n"):
            self.assertIn("is not a commit", await self.fails(self.obtain(self.source(host), revision)))


class SshTests(GitCase):
    async def test_a_repository_is_reached_by_ssh_with_a_key(self) -> None:
        commit = self.app.commit({"Dockerfile": TINY % "by ssh".replace(" ", "-")})
        with ssh_host(self.hosted) as host:
            url = f"ssh://root@{host.name}{self.app.bare}"
            source = GitSource(url, self.context(environ=host.environ))
            self.assertEqual(await source.newest(), commit)
            self.assertEqual(self.label(await self.obtain(source)), "by-ssh")

    async def test_without_a_key_ssh_fails_at_once_and_does_not_prompt(self) -> None:
        self.app.commit({"Dockerfile": TINY % "one"})
        with ssh_host(self.hosted) as host:
            unknown = GitSource(f"ssh://root@{host.name}{self.app.bare}", self.context())
            begun = time.monotonic()
            self.assertIn("Host key verification failed", await self.fails(self.obtain(unknown)))
            command = host.environ["GIT_SSH_COMMAND"].rpartition(" -i ")[0]
            keyless = self.context(environ={"GIT_SSH_COMMAND": f"{command} -i /nowhere"})
            message = await self.fails(self.obtain(GitSource(f"ssh://root@{host.name}{self.app.bare}", keyless)))
            self.assertIn("Permission denied", message)
            self.assertLess(time.monotonic() - begun, 60)
