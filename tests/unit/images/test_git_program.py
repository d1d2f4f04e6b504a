"""git against hosts that are hostile, with logins, and with what an earlier git has left."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from twisted.internet.defer import Deferred

from hanoverd.images import git_mirror, git_program, quirks
from hanoverd.images.git_environment import git_environment, without_secrets
from hanoverd.runtime.clock import sleep
from hanoverd.spec.git_location import parse_git
from tests.unit.images.git_case import REACTOR, GitCase

PASSWORD = "s3cr3t/word"


class HostTests(GitCase):
    """Hosts that are reached by ssh: the test is ssh."""

    async def failure(self) -> str:
        return await self.error(self.mirror_at("ssh://git@host/me/app").update(None))

    async def test_a_host_cannot_name_a_file_that_is_removed(self) -> None:
        victim = self.folder / "victim.lock"
        victim.touch()
        os.utime(victim, (0, 0))
        repository = self.state / "mirrors/host/me/app.git/repository"
        for path in (victim, f"{repository}/../../../../../../victim.lock", f"{repository}/refs/../config.lock"):
            self.ssh(f"echo \"fatal: Unable to create '{path}': File exists.\" >&2; exit 128")
            self.assertIn("File exists", await self.failure())
        self.assertTrue(victim.exists())

    async def test_a_host_that_prints_without_end_is_ended(self) -> None:
        self.ssh("while :; do echo 'remote: a line'; done >&2")
        self.assertIn("printed more than 1048576 bytes", await self.failure())

    async def test_a_message_of_a_host_is_short_and_cannot_control_the_terminal(self) -> None:
        self.ssh("printf '\\033[2Jred\\rforged%05000d\\n' 0 >&2; for n in $(seq 1000); do echo $n; done >&2; exit 1")
        message = await self.failure()
        self.assertLess(len(message), 25 * 1024)
        self.ssh("printf '\\033[2Jred\\rforged\\n' >&2; exit 1")
        self.assertIn("?[2Jred", await self.failure())

    async def test_a_host_that_does_not_answer_is_given_up(self) -> None:
        self.patch(git_mirror, "SHORT_SECONDS", 0.5)
        self.ssh("exec sleep 60")
        begun = time.monotonic()
        mirror = self.mirror_at("ssh://git@host/me/app")
        message = await self.error(mirror.remote_head())
        self.assertIn("git ls-remote of ssh://host/me/app was not done within 500ms", message)
        self.assertLess(time.monotonic() - begun, 10)

    async def test_a_host_cannot_exhaust_the_memory_with_references(self) -> None:
        self.patch(git_program, "_LEAST_MEMORY", 64 * 1024**2)
        self.patch(git_program, "_MEMORY_SHARE", 2**40)
        # Protocol version 0: references without end.
        self.ssh(
            "exec python3 -c '"
            "import sys\n"
            'def line(text): sys.stdout.write(f"{len(text) + 4:04x}{text}")\n'
            "n = 0\n"
            "while True:\n"
            "    n += 1\n"
            '    line(f"{n:040x} refs/heads/b{n}" + ("\\0agent=x" if n == 1 else "") + "\\n")\''
        )
        begun = time.monotonic()
        self.assertIn("failed: ", await self.failure())
        self.assertLess(time.monotonic() - begun, 60)


class LoginTests(GitCase):
    """Hosts that are reached by HTTP, with a login in the URL."""

    @contextmanager
    def host(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Serve a host that wants a login; yields its address, the logins that came, and the arguments of all programs then."""
        logins: list[str] = []
        seen: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                login = self.headers.get("Authorization", "")
                logins.append(base64.b64decode(login.removeprefix("Basic ")).decode())
                for process in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        seen.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                    except OSError:
                        continue  # It has ended.
                self.send_response(403 if login else 401, f"refused {login}")
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", logins, seen
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    async def test_a_password_in_the_url_reaches_the_host_and_nothing_else(self) -> None:
        with self.host() as (address, logins, seen):
            mirror = self.mirror_at(f"http://me:{PASSWORD.replace('/', '%2F')}@{address}/me/app")
            message = await self.error(mirror.update(None))
        self.assertEqual(logins[:2], ["", f"me:{PASSWORD}"])
        self.assertIn("git-remote-http", " ".join(seen))
        on_disk = b"".join(path.read_bytes() for path in self.state.rglob("*") if path.is_file()).decode(
            errors="replace"
        )
        for text in (*seen, message, mirror.location.shown, repr(mirror.location), on_disk):
            self.assertNotIn(PASSWORD, text)
            self.assertNotIn(PASSWORD.replace("/", "%2F"), text)

    async def test_a_user_name_alone_is_completed_by_a_credential_helper(self) -> None:
        with self.host() as (address, logins, seen):
            self.git("config", "--global", "credential.helper", "!f() { cat >&2; echo password=fromhelper; }; f")
            mirror = self.mirror_at(f"http://token@{address}/me/app")
            await self.error(mirror.update(None))
        self.assertEqual(logins[:2], ["", "token:fromhelper"])
        self.assertNotIn("token", " ".join(line for line in seen if "git" in line))

    async def test_the_login_of_one_host_is_not_for_another(self) -> None:
        with self.host() as (address, logins, _):
            location = parse_git(f"http://me:{PASSWORD}@other.example/me/app".replace("/word", ""), "https")
            environ = git_environment(self.environ, location)
            subprocess.run(
                ["git", "ls-remote", f"http://{address}/x/y"], env=environ, capture_output=True, cwd="/", check=False
            )
        self.assertEqual(set(logins), {""})

    def test_secrets_are_removed_from_the_texts_of_git(self) -> None:
        location = parse_git("https://me:p%40ss@h/a/b", "https")
        encoded = base64.b64encode(b"me:p@ss").decode()
        text = f"https://me:p%40ss@h/a/b, p@ss, p%40ss, {encoded}, https://you:other@x/y failed"
        self.assertEqual(without_secrets(text, location), "https://h/a/b, ***, ***, ***, https://x/y failed")


class EnvironmentTests(GitCase):
    def test_variables_that_name_another_repository_are_removed(self) -> None:
        location = parse_git("https://h/a/b", "https")
        environ = git_environment({"GIT_DIR": "/x", "GIT_OBJECT_DIRECTORY": "/x", "GIT_CONFIG_GLOBAL": "/y"}, location)
        self.assertNotIn("GIT_DIR", environ)
        self.assertNotIn("GIT_OBJECT_DIRECTORY", environ)
        self.assertEqual(environ["GIT_CONFIG_GLOBAL"], "/y")

    def test_only_the_protocols_that_are_needed_are_allowed(self) -> None:
        for url, allowed in (
            ("https://h/a/b", "https:ssh"),
            ("git://h/a/b", "git:https:ssh"),
            ("file:///a", "file:https:ssh"),
        ):
            self.assertEqual(git_environment({}, parse_git(url, "https"))["GIT_ALLOW_PROTOCOL"], allowed)
        environ = git_environment({"GIT_ALLOW_PROTOCOL": "ssh"}, parse_git("https://h/a/b", "https"))
        self.assertEqual(environ["GIT_ALLOW_PROTOCOL"], "ssh")

    def test_settings_of_the_environment_are_kept_and_come_before_ours(self) -> None:
        given = {**self.environ, "GIT_CONFIG_COUNT": "2"}
        given |= {"GIT_CONFIG_KEY_0": "my.setting", "GIT_CONFIG_VALUE_0": "kept"}
        given |= {"GIT_CONFIG_KEY_1": "core.hooksPath", "GIT_CONFIG_VALUE_1": "/hooks"}
        environ = git_environment(given, parse_git("https://h/a/b", "https"))
        for name, value in (("my.setting", "kept"), ("core.hooksPath", "/dev/null"), ("gc.autoDetach", "false")):
            found = subprocess.run(
                ["git", "config", name], env=environ, capture_output=True, text=True, cwd="/", check=True
            )
            self.assertEqual(found.stdout.strip(), value)

    def test_the_advice_for_errors(self) -> None:
        error = "fatal: could not read Username for 'https://h': terminal prompts disabled"
        self.assertIn("--git-protocol ssh", quirks.hint(error))
        self.assertIn("known_hosts", quirks.hint("git@h: Permission denied (publickey)."))
        self.assertIn("--git-max-size", quirks.hint("fatal: index-pack died of signal 25"))
        self.assertEqual(quirks.hint("fatal: not a git repository"), "")


class LeftoverTests(GitCase):
    async def with_a_lock(
        self, name: str, stale_lock_seconds: float, target: Path | None = None
    ) -> tuple[Path, Deferred[str], str]:
        """Leave a lock as a git that was killed does, and start an update; return it, and the new commit."""
        self.commit("a", "1")
        mirror = self.mirror("main", stale_lock_seconds=stale_lock_seconds)
        await mirror.update(None)
        commit = self.commit("a", "2")
        lock = mirror.folder / "repository" / name
        lock.parent.mkdir(exist_ok=True)
        if target is None:
            lock.touch()
        else:
            lock.symlink_to(target)
        return lock, Deferred.fromCoroutine(mirror.update(None)), commit

    async def test_a_lock_that_is_too_old_is_removed(self) -> None:
        for name in ("packed-refs.lock", "refs/tags/v1.lock", "refs/hanoverd/x.lock", "objects/info/commit-graph.lock"):
            with self.subTest(name):
                lock, update, commit = await self.with_a_lock(name, 1.0)
                self.assertEqual(await update, commit)
                self.assertFalse(lock.exists())

    async def test_the_end_of_another_git_is_waited_for(self) -> None:
        lock, update, commit = await self.with_a_lock("refs/hanoverd/x.lock", 60.0)
        await sleep(REACTOR, 0.5)
        self.assertFalse(update.called)
        lock.unlink()
        self.assertEqual(await update, commit)

    async def test_a_lock_that_is_a_link_is_removed_itself(self) -> None:
        victim = self.folder / "victim.lock"
        victim.touch()
        lock, update, commit = await self.with_a_lock("refs/hanoverd/x.lock", 0.5, victim)
        self.assertEqual(await update, commit)
        self.assertFalse(lock.is_symlink())
        self.assertTrue(victim.exists())
