"""Where a git repository is, and which commits of it are wanted: all of it checked before git sees any."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

#: A commit's full name, by SHA-1 or SHA-256.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

#: What no name of a branch may hold (git-check-ref-format).
_BAD_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")

#: One part of a path: hosts, users, repositories.
_PART = re.compile(r"[A-Za-z0-9_~][A-Za-z0-9_.~+-]*")

_SHORT = re.compile(rf"{_PART.pattern}(?::\d+)?(?:/{_PART.pattern}){{2,}}")
_SCP = re.compile(rf"(?P<user>\w[\w.-]*)@(?P<host>{_PART.pattern}):(?P<path>[^:].*)")
_URL = re.compile(r"(?P<scheme>https?|ssh|git|file)://(?:(?P<user>[^@/]*)@)?(?P<host>[^/]*)(?P<path>/.*)")


@dataclass(frozen=True)
class GitLocation:
    """A repository at ``url``, kept under ``mirror`` (``HOST/USER/REPO``); ``branch`` None is its default one, and
    ``folder`` the one in it that is built, "" for its top.
    """

    url: str
    mirror: str
    branch: str | None
    folder: str

    @property
    def shown(self) -> str:
        """The repository for people: without the password that its URL may hold."""
        return re.sub(r"//[^@/]*@", "//", self.url)


def parse_git(text: str, protocol: str) -> GitLocation:
    """Read ``HOST/USER/REPO`` (by ``protocol``: https or ssh) or a repository's URL, with ``#BRANCH`` and ``:FOLDER``
    behind it as for ``docker build``; ValueError.
    """
    location, _, fragment = text.partition("#")
    branch, _, folder = fragment.partition(":")
    if _SHORT.fullmatch(location):
        url = f"https://{location}" if protocol == "https" else f"ssh://git@{location}"
        mirror = location
    elif found := _URL.fullmatch(location) or _SCP.fullmatch(location):
        url = location
        mirror = f"{found['host'] or 'localhost'}/{found['path'].lstrip('/')}"
    else:
        raise ValueError(f"{text!r} is no git repository: write HOST/USER/REPO, or its URL")
    mirror = posixpath.normpath(mirror.replace(":", "/").removesuffix("/").removesuffix(".git"))
    if not all(_PART.fullmatch(part) for part in mirror.split("/")):
        raise ValueError(f"{text!r} is no git repository: its path holds what a name cannot")
    return GitLocation(url, mirror, check_branch(branch) if branch else None, check_folder(folder))


def check_branch(name: str) -> str:
    """``name``, if a branch can be called so; ValueError."""
    if (
        _BAD_IN_BRANCH.search(name)
        or name.startswith(("-", "/", "."))
        or name.endswith(("/", "."))
        or name in ("", "@")
    ):
        raise ValueError(f"{name!r} is no name of a branch")
    return name


def check_commit(name: str) -> str:
    """``name``, if it is a commit's whole SHA; ValueError."""
    if not _COMMIT.fullmatch(name) or not name.strip("0"):
        raise ValueError(f"{name!r} is no commit: 40 (or 64) hexadecimal digits, not all of them 0, name one")
    return name


def check_folder(name: str) -> str:
    """A folder inside the repository, "" for its top; ValueError for one that is not inside."""
    folder = posixpath.normpath(name.strip("/")) if name.strip("/") else ""
    if folder.split("/")[0] == ".." or "\0" in folder:
        raise ValueError(f"the folder {name!r} is not in the repository")
    return "" if folder == "." else folder
