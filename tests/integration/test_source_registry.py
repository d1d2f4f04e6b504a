"""Images from a real registry: logins, pull policies, digests, and a registry with faults."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hanoverd.images.folder import FolderSource
from hanoverd.images.registry import RegistrySource
from hanoverd.runtime.backoff import Backoff
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import LoginFailed, ObtainFailed
from hanoverd.spec.container import Image
from tests.integration.asking import eventually_equal
from tests.integration.source_case import REACTOR, SOON, TINY, SourceCase
from tests.lab.daemon import Daemon
from tests.lab.events import contains
from tests.lab.host import Lab
from tests.lab.registry import PASSWORD, USER, registry

PROXY = Path(__file__).parents[1] / "lab" / "proxy.py"


class RegistryCase(SourceCase):
    """A registry on the lab's host."""

    def serve(self, *, port: int = 5000, login: bool = False, tls: bool = False) -> str:
        """Serve a registry until the end of the test; the engine has none of its images yet."""
        serving = registry(self.lab, self.folder / f"registry-{port}", port=port, login=login, tls=tls)
        address = serving.__enter__()
        self.addCleanup(serving.__exit__, None, None, None)
        # Another test may have left it.
        self.forget(f"{address}/app:v1")
        return address

    async def push(
        self, name: str, content: str, *, login: Mapping[str, str] | None = None, megabytes: float = 0.1
    ) -> str:
        """Build an image of this content, push it, remove it from the engine, and return its ID."""
        (self.folder / "Dockerfile").write_text((TINY % content) + f"ENV CONTENT={content}\nCOPY data /data\n")
        (self.folder / "data").write_bytes(os.urandom(int(megabytes * 1_000_000)))
        image = await self.obtain(FolderSource(".", self.context()))
        repository, _, tag = name.rpartition(":")
        await self.engine.tag(image.id, repository, tag)
        await self.engine.push(repository, tag, login or {}, lambda line: None)
        self.forget(name, "hanoverd/sourced:latest")
        return image.id

    def forget(self, *names: str) -> None:
        """Remove these names from the engine."""
        for name in names:
            self.lab.docker("DELETE", f"/images/{quote(name, safe='')}?force=1")

    def source(self, name: str, pull: str | None = None, **environ: str) -> RegistrySource:
        """Return a source of the image of this name."""
        return RegistrySource(name, self.context(pull=pull, environ=environ))

    def configure(self, **config: object) -> dict[str, str]:
        """Return the environment that selects this configuration of Docker."""
        folder = self.folder / "docker"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}

    def helper(self, name: str, script: str) -> None:
        """Install a credential helper."""
        path = self.folder / "docker" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def basic(user: str, password: str) -> dict[str, str]:
    """Return a login as ``docker login`` stores it."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


class PolicyTests(RegistryCase):
    async def test_a_missing_image_is_pulled_and_a_present_one_is_not(self) -> None:
        name = f"{self.serve()}/app:v1"
        await self.push(name, "one")
        source = self.source(name)
        first = await self.obtain(source)
        self.assertEqual(self.label(first), "one")
        self.assertRegex(str(first.revision), "^sha256:")
        await self.push(name, "two")
        self.assertEqual(self.label(await self.obtain(source)), "two")
        await self.push_only(name, "three")
        self.assertEqual(self.label(await self.obtain(source)), "two")

    async def push_only(self, name: str, content: str) -> None:
        """Push an image, but keep the tag of the engine on its old image."""
        had = await self.engine.inspect_image(name)
        await self.push(name, content)
        await self.engine.tag(str(had["Id"]), *name.rsplit(":", 1))

    async def test_always_pulls_the_current_image_of_a_tag(self) -> None:
        name = f"{self.serve()}/app:v1"
        await self.push(name, "one")
        source = self.source(name, "always")
        first = await self.obtain(source)
        self.assertEqual(await source.newest(), first.revision)
        await self.push_only(name, "two")
        self.assertNotEqual(await source.newest(), first.revision)
        second = await self.obtain(source)
        self.assertEqual((self.label(second), second.revision), ("two", await source.newest()))

    async def test_never_does_not_pull(self) -> None:
        name = f"{self.serve()}/app:v1"
        await self.push(name, "one")
        source = self.source(name, "never")
        self.assertIn("--pull never does not allow to pull it", await self.fails(self.obtain(source)))
        self.assertIsNone(await source.newest())
        await self.obtain(self.source(name))
        self.assertEqual(self.label(await self.obtain(source)), "one")

    async def test_an_image_is_pulled_by_its_digest_and_stays(self) -> None:
        name = f"{self.serve()}/app:v1"
        await self.push(name, "one")
        digest = await self.source(name, "always").newest()
        await self.push(name, "two")
        source = self.source(f"{name.removesuffix(':v1')}@{digest}", "always")
        self.assertEqual(self.label(await self.obtain(source)), "one")
        self.assertIsNone(await source.newest())

    async def test_a_local_image_is_found_by_its_id(self) -> None:
        found = json.loads(self.lab.docker("GET", "/images/hanoverd-lab/python/json")[1])
        self.assertEqual((await self.obtain(self.source(found["Id"], "always"))).id, found["Id"])
        self.assertIn("the engine has no image with the ID", await self.fails(self.obtain(self.source("0" * 64))))

    async def test_a_missing_name_is_reported(self) -> None:
        address = self.serve()
        message = await self.fails(self.obtain(self.source(f"{address}/nothing:v1")), ObtainFailed)
        self.assertIn(f"cannot pull {address}/nothing:v1: ", message)
        self.assertIn("not found", message)
        await self.push(f"{address}/app:v1", "one")
        self.assertIn("not found", await self.fails(self.obtain(self.source(f"{address}/app:v2"))))
        self.assertIn("cannot pull", await self.fails(self.source(f"{address}/app:v2").newest()))


LOGIN = {"username": USER, "password": PASSWORD}


class LoginTests(RegistryCase):
    async def test_a_login_is_read_again_each_time(self) -> None:
        address = self.serve(login=True)
        name = f"{address}/app:v1"
        await self.push(name, "one", login=LOGIN)
        environ = self.configure(auths={})
        source = self.source(name, "always", **environ)
        message = await self.fails(self.obtain(source), ObtainFailed)
        self.assertIn(f"`docker login {address}`", message)
        self.configure(auths={address: basic(USER, "wrong")})
        self.assertNotIn("wrong", await self.fails(self.obtain(source), ObtainFailed))
        self.configure(auths={address: basic(USER, PASSWORD)})
        self.assertEqual(self.label(await self.obtain(source)), "one")
        self.assertRegex(str(await source.newest()), "^sha256:")

    async def test_a_registry_with_tls_and_a_login_works(self) -> None:
        address = self.serve(login=True, tls=True, port=5443)
        name = f"{address}/app:v1"
        await self.push(name, "one", login=LOGIN)
        environ = self.configure(auths={f"https://{address}/v1/": basic(USER, PASSWORD)})
        self.assertEqual(self.label(await self.obtain(self.source(name, **environ))), "one")

    async def test_credential_helpers_are_asked(self) -> None:
        address = self.serve(login=True)
        name = f"{address}/app:v1"
        await self.push(name, "one", login=LOGIN)
        answer = json.dumps({"ServerURL": address, "Username": USER, "Secret": PASSWORD})
        self.helper("vault", f'read key; [ "$1 $key" = "get {address}" ] && echo \'{answer}\'')
        for config in ({"credsStore": "vault"}, {"credHelpers": {address: "vault"}, "credsStore": "other"}):
            environ = self.configure(**config)
            self.assertEqual(self.label(await self.obtain(self.source(name, "always", **environ))), "one")
            self.forget(name)

    async def test_the_failure_of_a_credential_helper_is_reported(self) -> None:
        address = self.serve(login=True)
        source = self.source(f"{address}/app:v1", **self.configure(credsStore="vault"))
        message = await self.fails(self.obtain(source), LoginFailed)
        self.assertIn("docker-credential-vault", message)
        self.assertIn("is not on PATH", message)
        self.helper("vault", "echo the vault is shut; exit 1")
        self.assertIn("exit status 1: the vault is shut", await self.fails(self.obtain(source), LoginFailed))
        self.helper("vault", "echo credentials not found in native keychain; exit 1")
        self.assertIn("docker login", await self.fails(self.obtain(source), ObtainFailed))
        self.helper("vault", "echo nonsense")
        self.assertIn("invalid login", await self.fails(self.obtain(source), LoginFailed))
        self.helper("vault", "sleep 60")
        work = Deferred.fromCoroutine(self.obtain(source))
        await sleep(REACTOR, 0.3)
        self.assertLess(await self.cancelled(work), SOON)

    async def test_an_identity_token_is_sent_as_one(self) -> None:
        credentials = self.context(environ=self.configure(auths={"h:1": {"identitytoken": "T"}})).credentials
        self.assertEqual(await credentials.login("h:1"), {"identitytoken": "T", "serveraddress": "h:1"})
        self.helper("vault", 'echo \'{"Username": "<token>", "Secret": "T"}\'')
        credentials = self.context(environ=self.configure(credsStore="vault")).credentials
        hub = "https://index.docker.io/v1/"
        self.assertEqual(await credentials.login("docker.io"), {"identitytoken": "T", "serveraddress": hub})

    async def test_an_invalid_configuration_is_reported(self) -> None:
        environ = self.configure()
        (self.folder / "docker" / "config.json").write_text("{")
        message = await self.fails(self.obtain(self.source("127.0.0.1:1/app", **environ)), LoginFailed)
        self.assertIn("cannot read Docker's configuration", message)
        environ = self.configure(auths={"127.0.0.1:1": {"auth": "!"}})
        self.assertIn(
            "is invalid", await self.fails(self.obtain(self.source("127.0.0.1:1/app", **environ)), LoginFailed)
        )

    async def test_a_build_gets_the_logins_for_its_base_images(self) -> None:
        name = f"{self.serve(login=True)}/app:v1"
        await self.push(name, "base", login=LOGIN)
        (self.folder / "Dockerfile").write_text(f"FROM {name}\nLABEL more=x\n")
        environ = self.configure(auths={})
        self.assertIn("failed", await self.fails(self.obtain(FolderSource(".", self.context(environ=environ)))))
        self.configure(auths={name.partition("/")[0]: basic(USER, PASSWORD)})
        self.assertEqual(self.label(await self.obtain(FolderSource(".", self.context(environ=environ)))), "base")


class FaultyRegistryTests(RegistryCase):
    def setUp(self) -> None:
        super().setUp()
        self.serve()
        self.whims = self.folder / "whims"
        self.whims.mkdir()

    @contextmanager
    def proxy(self) -> Iterator[str]:
        """Run a proxy in front of the registry."""
        command = [sys.executable, str(PROXY), "5001", "5000", str(self.whims)]
        process = subprocess.Popen(self.lab.in_host(command))
        check = self.lab.in_host(["curl", "-s", "127.0.0.1:5001/v2/"])
        try:
            eventually_equal(lambda: subprocess.run(check, capture_output=True, check=False).returncode, 0)
            yield "127.0.0.1:5001"
        finally:
            process.kill()
            process.wait()

    def pull(self, name: str) -> Deferred[Image]:
        """Pull an image."""
        return Deferred.fromCoroutine(self.obtain(self.source(name, "always")))

    async def test_a_registry_that_limits_requests_is_retried_with_a_backoff(self) -> None:
        await self.push("127.0.0.1:5000/app:v1", "one")
        with self.proxy() as address:
            context = self.context(pull="always")

            def pull(first: float, attempts: int = 7) -> Deferred[Image]:
                backoff = Backoff(first, longest=60.0)
                return Deferred.fromCoroutine(
                    self.obtain(RegistrySource(f"{address}/app:v1", context, backoff, attempts))
                )

            # The engine itself retries as well.
            (self.whims / "busy").write_text("4")
            self.assertEqual(self.label(await pull(0.2)), "one")
            self.assertEqual((self.whims / "busy").read_text(), "0")
            (self.whims / "busy").write_text("1000")
            self.assertIn("limits the rate of requests", await self.fails(pull(0.2, attempts=2)))
            work = pull(60.0)
            await sleep(REACTOR, 1)
            self.assertLess(await self.cancelled(work), SOON)

    async def test_an_incomplete_pull_fails_even_if_the_name_exists(self) -> None:
        await self.push("127.0.0.1:5000/app:v1", "one")
        with self.proxy() as address:
            await self.pull(f"{address}/app:v1")
            await self.push("127.0.0.1:5000/app:v1", "two")
            (self.whims / "cut").touch()
            self.assertIn("cannot pull", await self.fails(self.pull(f"{address}/app:v1"), ObtainFailed))
            (self.whims / "cut").unlink()
            self.assertEqual(self.label(await self.pull(f"{address}/app:v1")), "two")

    async def test_an_error_of_a_hostile_registry_is_cut_and_escaped(self) -> None:
        await self.push("127.0.0.1:5000/app:v1", "one")
        with self.proxy() as address:
            (self.whims / "shout").touch()
            source = self.source(f"{address}/app:v1", "always")
            messages = [await self.fails(self.obtain(source), ObtainFailed)]
            messages.append(await self.fails(source.newest(), ObtainFailed))
        for message in messages:
            self.assertIn(f"cannot pull {address}/app:v1: ", message)
            self.assertTrue(message.isprintable())
            self.assertLess(len(message), 20_000)

    async def test_a_full_disk_is_reported(self) -> None:
        await self.push("127.0.0.1:5000/app:v1", "large", megabytes=60)
        await deferToThread(self.pull_to_a_small_disk)

    def pull_to_a_small_disk(self) -> None:
        """Run hanoverd with an engine on a small disk."""
        small = Lab()
        disk = small.folder / "engine" / "data"
        disk.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "small", str(disk)], check=True)
        try:
            small.start()
            config = (self.folder / "registry-5000" / "config.yml", "5000")
            serving = subprocess.Popen(
                small.in_host(["docker-registry", "serve", str(config[0])]),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                with Daemon(small, ["-p", "8080:80", "127.0.0.1:5000/app:v1"], "/") as hanoverd:
                    hanoverd.wait_event("failed", error=contains("disk is full"))
                    hanoverd.wait_event("start_failed")
            finally:
                serving.terminate()
                serving.wait()
        finally:
            small.engine.kill()
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
            small.stop()

    async def test_a_cancelled_pull_stops_in_the_engine(self) -> None:
        await self.push("127.0.0.1:5000/app:v1", "one")
        with self.proxy() as address:
            (self.whims / "stall").touch()
            work = self.pull(f"{address}/app:v1")
            await self.until(lambda: "blobs" in (self.whims / "requests").read_text())
            self.assertLess(await self.cancelled(work), SOON)
            (self.whims / "stall").unlink()
            self.assertEqual(self.label(await self.pull(f"{address}/app:v1")), "one")
