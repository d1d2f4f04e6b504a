"""Logins for registries, with real files and helper programs."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hanoverd.docker.api import Login
from hanoverd.docker.credentials import HELPER_LIMIT, HUB, Credentials
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import LoginFailed

REACTOR: Any = reactor
ANSWER = json.dumps({"Username": "me", "Secret": "secret"})


def auth(user: str, password: str) -> dict[str, str]:
    """The entry that ``docker login`` writes."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


class CredentialsTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.environ = {"PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(self.folder)}
        (self.folder / ".docker").mkdir()

    def configure(self, config: object) -> None:
        """Write Docker's configuration."""
        (self.folder / ".docker" / "config.json").write_text(json.dumps(config))

    def helper(self, name: str, script: str) -> None:
        """Install a credential helper: a shell script."""
        path = self.folder / f"docker-credential-{name}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    async def login(self, registry: str) -> Login:
        return await Credentials(REACTOR, self.environ).login(registry)

    async def failure(self, registry: str) -> str:
        """The message of the error."""
        with self.assertRaises(LoginFailed) as raised:
            await self.login(registry)
        return str(raised.exception)

    async def test_without_a_configuration_there_is_no_login(self) -> None:
        self.assertEqual(await self.login("r.example"), {})
        self.assertEqual(await Credentials(REACTOR, self.environ).all(), {})

    async def test_a_login_in_the_configuration(self) -> None:
        self.configure({"auths": {"r.example:5000": auth("me", "a:b")}})
        expected = {"username": "me", "password": "a:b", "serveraddress": "r.example:5000"}
        self.assertEqual(await self.login("r.example:5000"), expected)
        self.assertEqual(await self.login("r.example"), {})

    async def test_the_folder_of_the_configuration_can_be_set(self) -> None:
        self.configure({"auths": {"r.example": auth("me", "x")}})
        self.environ |= {"DOCKER_CONFIG": str(self.folder / ".docker"), "HOME": "/nowhere"}
        self.assertEqual((await self.login("r.example"))["username"], "me")

    async def test_an_old_login_has_a_url_as_its_key(self) -> None:
        self.configure({"auths": {"https://r.example/v1/": auth("me", "x")}})
        self.assertEqual((await self.login("r.example"))["serveraddress"], "https://r.example/v1/")

    async def test_docker_io_is_docker_hub(self) -> None:
        self.configure({"auths": {HUB: auth("me", "x")}})
        self.assertEqual((await self.login("docker.io"))["serveraddress"], HUB)

    async def test_a_change_of_the_configuration_is_noticed(self) -> None:
        credentials = Credentials(REACTOR, self.environ)
        for password in ("one", "two"):
            self.configure({"auths": {"r.example": auth("me", password)}})
            self.assertEqual((await credentials.login("r.example"))["password"], password)

    async def test_an_invalid_configuration_is_an_error(self) -> None:
        (self.folder / ".docker" / "config.json").write_text("{")
        self.assertIn("cannot read Docker's configuration", await self.failure("r.example"))
        self.assertEqual(await Credentials(REACTOR, self.environ).all(), {})

    async def test_an_invalid_login_is_an_error(self) -> None:
        for entry in ({"auth": "!"}, {"auth": base64.b64encode(b"no colon").decode()}, {"auth": 7}):
            self.configure({"auths": {"r.example": entry}})
            self.assertIn("is invalid: run `docker login r.example`", await self.failure("r.example"))

    async def test_a_helper_gets_the_registry_on_its_input(self) -> None:
        self.helper("vault", f"""test "$1" = get && test "$(cat)" = r.example && echo '{ANSWER}'""")
        self.configure({"credHelpers": {"r.example": "vault"}})
        expected = {"username": "me", "password": "secret", "serveraddress": "r.example"}
        self.assertEqual(await self.login("r.example"), expected)
        self.assertEqual(await self.login("other.example"), {})

    async def test_the_store_is_for_all_registries_without_a_helper(self) -> None:
        self.helper("store", f"echo '{ANSWER}'")
        self.configure({"credsStore": "store", "auths": {"r.example": {}}})
        self.assertEqual((await self.login("r.example"))["username"], "me")
        self.assertEqual((await self.login("docker.io"))["serveraddress"], HUB)

    async def test_an_identity_token(self) -> None:
        self.helper("store", """echo '{"Username": "<token>", "Secret": "T"}'""")
        self.configure({"credsStore": "store"})
        self.assertEqual(await self.login("r.example"), {"identitytoken": "T", "serveraddress": "r.example"})

    async def test_a_helper_without_a_login_is_no_error(self) -> None:
        self.helper("store", "echo credentials not found in native keychain; exit 1")
        self.configure({"credsStore": "store"})
        self.assertEqual(await self.login("r.example"), {})

    async def test_a_helper_that_fails_is_an_error(self) -> None:
        self.helper("store", "echo the keychain is locked; exit 2")
        self.configure({"credsStore": "store"})
        message = await self.failure("r.example")
        self.assertIn("the credential helper docker-credential-store for r.example", message)
        self.assertIn("failed with exit status 2: the keychain is locked", message)

    async def test_a_helper_that_is_not_installed_is_an_error(self) -> None:
        self.configure({"credsStore": "missing"})
        self.assertIn("docker-credential-missing", await self.failure("r.example"))

    async def test_an_invalid_answer_of_a_helper_is_an_error(self) -> None:
        self.configure({"credsStore": "store"})
        for answer in ("nonsense", "[]", "{}"):
            self.helper("store", f"echo '{answer}'")
            self.assertIn("returned an invalid login", await self.failure("r.example"))

    async def test_all_logins_leave_out_those_that_fail(self) -> None:
        self.helper("good", f"echo '{ANSWER}'")
        self.configure(
            {
                "auths": {"a.example": auth("me", "x"), "bad.example": {"auth": "!"}, "empty.example": {}},
                "credHelpers": {"b.example": "good", "c.example": "missing"},
            }
        )
        logins = await Credentials(REACTOR, self.environ).all()
        self.assertEqual(sorted(logins), ["a.example", "b.example"])

    async def test_a_helper_is_named_by_a_plain_name(self) -> None:
        evil = self.folder / "evil"
        evil.write_text(f"#!/bin/sh\ntouch {self.folder}/ran\n")
        evil.chmod(0o755)
        (self.folder / "docker-credential-").mkdir()
        for name in ("/../evil", "../evil", f"{self.folder}/evil", "", "-x", "a b", "a\n", "a\x1b[2J", "ä", ["a"]):
            self.configure({"credHelpers": {"r.example": name}, "credsStore": name})
            if name:
                self.assertIn("has the invalid name of a credential helper", await self.failure("r.example"))
            else:
                self.assertEqual(await self.login("r.example"), {})
        self.assertFalse((self.folder / "ran").exists())

    async def test_a_helper_that_prints_too_much_is_ended(self) -> None:
        self.helper("store", "exec tr '\\0' x < /dev/zero")
        self.configure({"credsStore": "store"})
        message = await self.failure("r.example")
        self.assertIn(f"wrote more than {HELPER_LIMIT} bytes, and was killed", message)

    async def test_a_helper_that_takes_too_long_is_ended(self) -> None:
        self.helper("store", "exec sleep 60")
        self.configure({"credsStore": "store"})
        with mock.patch("hanoverd.docker.credentials.HELPER_TIMEOUT", 0.3):
            self.assertIn("did not answer within 300ms: does it wait for a password?", await self.failure("r.example"))

    async def test_the_error_of_a_helper_is_cut_and_escaped(self) -> None:
        self.helper("store", r"printf 'a\033[2J\nb'; head -c 100000 /dev/zero | tr '\0' x; exit 1")
        self.configure({"credsStore": "store"})
        message = await self.failure("r.example")
        self.assertIn("exit status 1: a\\x1b[2J\\nbxxx", message)
        self.assertLess(len(message), 1500)

    async def test_a_login_is_for_its_own_registry_only(self) -> None:
        self.configure(
            {"auths": {"r.example": auth("me", "x"), "https://s.example/v1/": auth("me", "y"), HUB: auth("me", "z")}}
        )
        for registry in (
            "r.example.evil",
            "evil.r.example",
            "r.example:5000",
            "s.example:443",
            "index.docker.io.evil",
            "evil",
        ):
            self.assertEqual(await self.login(registry), {})

    async def test_a_cancel_ends_the_helper(self) -> None:
        started = self.folder / "started"
        self.helper("store", f"touch {started}; sleep 60")
        self.configure({"credsStore": "store"})
        work = Deferred.fromCoroutine(self.login("r.example"))
        while not started.exists():
            await sleep(REACTOR, 0.01)
        begun = time.monotonic()
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        self.assertLess(time.monotonic() - begun, 30)
