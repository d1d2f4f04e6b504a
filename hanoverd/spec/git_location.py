"""The location of a git repository, its branches and commits: checked before git gets them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

#: The full name of a commit, by SHA-1 or SHA-256.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

#: What the name of a branch must not contain (git-check-ref-format).
_BAD_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")

#: One part of a path: a host, a user, a repository.
_PART = re.compile(r"[A-Za-z0-9_~][A-Za-z0-9_.~+-]*")

_SHORT = re.compile(rf"{_PART.pattern}(?::\d+)?(?:/{_PART.pattern}){{2,}}")
_SCP = re.compile(rf"(?P<user>\w[\w.-]*)@(?P<host>{_PART.pattern}):(?P<path>[^:].*)")
_URL = re.compile(r"(?P<scheme>https?|ssh|git|file)://(?:(?P<user>[^@/]*)@)?(?P<host>[^/]*)(?P<path>/.*)")


@dataclass(frozen=True)
class GitLocation:
    """A repository at ``url``.

    Its copy is stored under ``mirror`` (``HOST/USER/REPO``).  ``branch`` is None for the default branch.  ``folder`` is
    the folder to build, "" for the top of the repository.
    """

    url: str = field(repr=False)
    mirror: str
    branch: str | None
    folder: str

    @property
    def shown(self) -> str:
        """The repository in messages: without the password that its URL can have."""
        return re.sub(r"//[^@/]*@", "//", self.url)


def parse_git(text: str, protocol: str) -> GitLocation:
    """Read ``HOST/USER/REPO`` (by ``protocol``, https or ssh) or the URL of a repository; ValueError.

    ``#BRANCH:FOLDER`` can follow, as in ``docker build``.
    """
    location, _, fragment = text.partition("#")
    branch, _, folder = fragment.partition(":")
    if _SHORT.fullmatch(location):
        url = f"https://{location}" if protocol == "https" else f"ssh://git@{location}"
        host, _, path = location.partition("/")
    elif found := _URL.fullmatch(location) or _SCP.fullmatch(location):
        url = location
        host, path = found["host"] or "localhost", found["path"]
    else:
        raise ValueError(f"{text!r} is not a git repository: write HOST/USER/REPO, or its URL")
    # A ".." in the path does not lead out of the folder of the host, to the mirrors of others.
    mirror = f"{host}{posixpath.normpath('/' + path.strip('/').removesuffix('.git'))}".replace(":", "/").rstrip("/")
    if not all(_PART.fullmatch(part) for part in mirror.split("/")):
        raise ValueError(f"{text!r} is not a git repository: its path has characters that names cannot have")
    return GitLocation(url, mirror, check_branch(branch) if branch else None, check_folder(folder))


def check_branch(name: str) -> str:
    """Return ``name``, if it is a valid name of a branch; ValueError."""
    if (
        _BAD_IN_BRANCH.search(name)
        or name.startswith(("-", "/", "."))
        or name.endswith(("/", "."))
        or name in ("", "@")
    ):
        raise ValueError(f"{name!r} is not the name of a branch")
    return name


def check_commit(name: str) -> str:
    """Return ``name``, if it is the full SHA of a commit; ValueError."""
    if not _COMMIT.fullmatch(name) or not name.strip("0"):
        raise ValueError(
            f"{name!r} is not a commit: write all of its 40 (or 64) hexadecimal digits, which are not all 0"
        )
    return name


def check_folder(name: str) -> str:
    """Return the path of a folder in the repository, "" for its top; ValueError for a folder outside."""
    folder = posixpath.normpath(name.strip("/")) if name.strip("/") else ""
    if folder.split("/")[0] == ".." or "\0" in folder:
        raise ValueError(f"the folder {name!r} is not in the repository")
    return "" if folder == "." else folder
