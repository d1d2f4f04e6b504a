"""Logins for registries, as ``docker login`` stores them: in Docker's configuration or with a credential helper."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from hanoverd.docker import quirks
from hanoverd.docker.api import Login
from hanoverd.docker.config import config_folder
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import HanoverdError, LoginFailed, OutputTooLong
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.text.durations import format_duration
from hanoverd.text.escapes import escaped_line
from hanoverd.text.lines import shortened
from hanoverd.text.quoting import quoted

#: The key of Docker Hub (``docker.io``) in the configuration.
HUB = "https://index.docker.io/v1/"

#: The name of a credential helper: a part of the name of a program on PATH, and not of a path.
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

#: The time that a helper may take, in seconds, and the most that it may print, in bytes. Tokens have some kilobytes.
HELPER_TIMEOUT, HELPER_LIMIT = 60.0, 1024 * 1024

#: How much of a helper's error is shown, in characters.
_LONGEST_REASON = 1000

#: The user name in a helper's answer whose secret is an identity token (docker-credential-helpers, README).
_TOKEN = "<token>"  # noqa: S105  # no secret


class Credentials:
    """The logins of the user with the environment ``environ``. The configuration is read for each request."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._environ = environ
        self._file = config_folder(environ) / "config.json"

    async def login(self, registry: str) -> Login:
        """Return the login for ``registry`` (``HOST[:PORT]``; ``docker.io`` is Docker Hub), empty if there is none.

        Fails with ``LoginFailed`` if the configuration or the credential helper cannot be used. Cancel ends the helper.
        """
        config = self._read()
        key = HUB if registry == "docker.io" else registry
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        if helper:
            return await self._ask_helper(str(helper), key)
        for name, entry in (config.get("auths") or {}).items():
            if _host(name) == _host(key):
                return _login(name, entry)
        return {}

    async def all(self) -> Mapping[str, Login]:
        """Return all logins by registry, without those that fail; Docker's client does the same for a build."""
        try:
            config = self._read()
        except LoginFailed:
            return {}
        found: dict[str, Login] = {}
        for name in [*(config.get("auths") or {}), *(config.get("credHelpers") or {})]:
            try:
                login = await self.login("docker.io" if name == HUB else name)
            except LoginFailed:
                continue
            if login:
                found[name] = login
        return found

    def _read(self) -> Mapping[str, Any]:
        try:
            config = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LoginFailed(f"cannot read Docker's configuration {self._file}: {error}") from None
        return config if isinstance(config, dict) else {}

    async def _ask_helper(self, helper: str, key: str) -> Login:
        if not _HELPER.fullmatch(helper):
            raise LoginFailed(
                f"{self._file} has the invalid name of a credential helper {quoted(shortened(helper, 100))}: it must be what "
                "follows docker-credential- in the name of a program on PATH"
            )
        program = f"docker-credential-{helper}"
        subject = f"the credential helper {program} for {key} (set in {self._file})"
        asking = Deferred.fromCoroutine(
            run(self._reactor, [program, "get"], self._environ, key, with_children=True, limit=HELPER_LIMIT)
        )
        try:
            ended = await within(self._reactor, HELPER_TIMEOUT, asking)
        except TimedOut:
            raise LoginFailed(
                f"{subject} did not answer within {format_duration(HELPER_TIMEOUT)}: does it wait for a password?"
            ) from None
        except OutputTooLong as error:
            raise LoginFailed(f"{subject} failed: {error}") from None
        except HanoverdError:
            raise LoginFailed(f"{subject} is not on PATH: install it, or run `docker login` without it") from None
        if ended.code != 0:
            # Helpers print their errors on standard output.
            reason = (ended.stdout or ended.stderr).strip()
            if quirks.has_no_credentials(reason):
                return {}
            raise LoginFailed(
                f"{subject} failed with exit status {ended.code}: {escaped_line(shortened(reason, _LONGEST_REASON))}"
            )
        try:
            answer = json.loads(ended.stdout)
            user, secret = str(answer["Username"]), str(answer["Secret"])
        except (ValueError, KeyError, TypeError):
            raise LoginFailed(f"{subject} returned an invalid login") from None
        if user == _TOKEN:
            return {"identitytoken": secret, "serveraddress": key}
        return {"username": user, "password": secret, "serveraddress": key}


def _login(name: str, entry: Mapping[str, Any]) -> Login:
    login = {
        key: str(entry[key]) for key in ("username", "password", "identitytoken", "registrytoken") if entry.get(key)
    }
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, ValueError, TypeError):
            colon = ""
        if not colon:
            raise LoginFailed(
                f"the login for {name} in Docker's configuration is invalid: run `docker login {_host(name)}`"
            )
        login.update(username=user, password=password.rstrip("\0"))
    return {**login, "serveraddress": name} if login else {}


def _host(name: str) -> str:
    """Return the host of a registry; old logins have a whole URL as their key."""
    return name.removeprefix("https://").removeprefix("http://").partition("/")[0]
