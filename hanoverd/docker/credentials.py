"""Logins for registries, as ``docker login`` keeps them: in Docker's configuration, or behind a credential helper."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanoverd.docker.blocking_engine import Login
from hanoverd.runtime.errors import HanoverdError, LoginFailed
from hanoverd.runtime.processes import ProcessReactor, run

#: How Docker Hub is called in the configuration, and where ``docker.io`` leads to.
HUB = "https://index.docker.io/v1/"

#: What a helper answers as user name when the secret is an identity token (docker-credential-helpers).
_TOKEN = "<token>"  # noqa: S105  # no secret

#: What all helpers print when they have nothing for a registry (docker-credential-helpers, errors.go).
_NOTHING = "credentials not found in native keychain"


class Credentials:
    """The logins of the user whose environment is ``environ``; the configuration is read anew each time."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._environ = environ
        folder = environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/") / ".docker"
        self._file = Path(folder) / "config.json"

    async def login(self, registry: str) -> Login:
        """The login for ``registry`` (``HOST[:PORT]``; ``docker.io`` is Docker Hub); empty where there is none.

        Fails with ``LoginFailed`` where the configuration or the helper cannot be used.  Cancel ends the helper.
        """
        config = self._read()
        key = HUB if registry == "docker.io" else registry
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        if helper:
            return await self._ask(str(helper), key)
        for name, entry in (config.get("auths") or {}).items():
            if _host(name) == _host(key):
                return _login(name, entry)
        return {}

    async def all(self) -> Mapping[str, Login]:
        """All logins, by registry; those that cannot be had are left out, as Docker's client does for a build."""
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
            raise LoginFailed(f"Docker's configuration {self._file} cannot be read: {error}") from None
        return config if isinstance(config, dict) else {}

    async def _ask(self, helper: str, key: str) -> Login:
        program = f"docker-credential-{helper}"
        said = f"the credential helper {program}, which {self._file} names for {key},"
        try:
            ended = await run(self._reactor, [program, "get"], self._environ, key, with_children=True)
        except HanoverdError:
            raise LoginFailed(f"{said} is not on PATH: install it, or `docker login` again without it") from None
        if ended.code != 0:
            # Helpers explain themselves on standard output.
            reason = (ended.stdout or ended.stderr).strip()
            if reason == _NOTHING:
                return {}
            raise LoginFailed(f"{said} has failed with exit status {ended.code}: {reason}")
        try:
            answer = json.loads(ended.stdout)
            user, secret = str(answer["Username"]), str(answer["Secret"])
        except (ValueError, KeyError, TypeError):
            raise LoginFailed(f"{said} gave an answer that is no login") from None
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
            raise LoginFailed(f"the login for {name} in Docker's configuration is damaged: `docker login` again")
        login.update(username=user, password=password.rstrip("\0"))
    return {**login, "serveraddress": name} if login else {}


def _host(name: str) -> str:
    """A registry's host: old logins are kept under whole URLs."""
    return name.removeprefix("https://").removeprefix("http://").partition("/")[0]
