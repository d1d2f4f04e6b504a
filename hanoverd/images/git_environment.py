"""The environment of git: the user's own, without what would make git ask, run other programs, or use another repository."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import quote

from hanoverd.spec.git_location import GitLocation

#: git aborts a transfer by HTTP that is slower than so many bytes per second for so many seconds.
_MIN_SPEED, _MIN_SPEED_SECONDS = 1000, 60

#: These name a repository, or a part of one, and git would use them instead of ours (git rev-parse --local-env-vars).
_OTHER_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
)

#: Settings that override the settings of the user and of the system, which still supply logins, proxies and certificates.
_SETTINGS = (
    # No program runs that a repository names, or that was put into its copy.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    # All work is done when git ends: a lock of hanoverd's would not cover what git starts in the background.
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
    # Submodules are obtained one by one, when they are allowed.
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    # The index of a checkout is one file.
    ("core.splitIndex", "false"),
    ("core.untrackedCache", "false"),
    # Names that mean .git on other file systems are refused, too.
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    # On a host with many processors, the limit of its memory would else be too low for large repositories.
    ("pack.threads", "4"),
    ("pack.windowMemory", "256m"),
    ("http.lowSpeedLimit", str(_MIN_SPEED)),
    ("http.lowSpeedTime", str(_MIN_SPEED_SECONDS)),
)

_USER, _PASSWORD = "HANOVERD_GIT_USER", "HANOVERD_GIT_PASSWORD"

#: A credential helper (gitcredentials(7)). The password is in the environment, which other users cannot read; they can read
#: the arguments of all programs.
_HELPER = f'!f() {{ test "$1" != get || printf "username=%s\\npassword=%s\\n" "${_USER}" "${_PASSWORD}"; }}; f'


def git_environment(environ: Mapping[str, str], location: GitLocation) -> dict[str, str]:
    """Return the environment in which git works with the repository at ``location``."""
    kept = {name: value for name, value in environ.items() if name not in _OTHER_REPOSITORY}
    kept |= _without_prompts(environ)
    # What the user has set is the user's decision.
    kept.setdefault("GIT_ALLOW_PROTOCOL", ":".join(sorted({"https", "ssh", location.protocol})))
    login = location.login
    settings = list(_SETTINGS)
    if login is not None and login.password is not None:
        kept |= {_USER: login.user, _PASSWORD: login.password}
        helper = f"credential.{location.host_url}.helper"
        # An empty value removes the user's helpers, as a password in the URL does: git then asks none of them.
        settings += [(helper, ""), (helper, _HELPER)]
    elif login is not None:
        settings.append((f"credential.{location.host_url}.username", login.user))
    return _with_settings(kept, settings)


def without_secrets(text: str, location: GitLocation) -> str:
    """Return a text of git without the login of ``location``, and without the logins in other URLs."""
    login = location.login
    if login is not None:
        secrets = [login.password or login.user]
        if login.password:
            secrets.append(base64.b64encode(f"{login.user}:{login.password}".encode()).decode())
        for secret in secrets:
            if secret:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return re.sub(r"(\w://)[^/@\s'\"]*@", r"\1", text)


def _without_prompts(environ: Mapping[str, str]) -> dict[str, str]:
    """Return settings that keep git and ssh from asking for input: on a terminal they would wait for an answer."""
    settings = {
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS": environ.get("SSH_ASKPASS", "false"),
        # Without this, ssh asks on the terminal although SSH_ASKPASS is set (ssh(1)).
        "SSH_ASKPASS_REQUIRE": "force",
        "GIT_SSH_COMMAND": environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20"),
        # English texts: see quirks.
        "LC_ALL": "C",
    }
    if "GIT_SSH" in environ and "GIT_SSH_COMMAND" not in environ:
        del settings["GIT_SSH_COMMAND"]
    return settings


def _with_settings(environ: Mapping[str, str], settings: list[tuple[str, str]]) -> dict[str, str]:
    """Return ``environ`` with more settings of git, after the present ones (GIT_CONFIG_COUNT, see git-config(1))."""
    given = environ.get("GIT_CONFIG_COUNT", "")
    first = int(given) if given.isdecimal() else 0
    added = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (name, value) in enumerate(settings, first):
        added[f"GIT_CONFIG_KEY_{number}"] = name
        added[f"GIT_CONFIG_VALUE_{number}"] = value
    return {**environ, **added}
