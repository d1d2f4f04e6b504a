"""The location of a git repository, its branches and commits: checked before git gets them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

#: The full name of a commit, by SHA-1 or SHA-256.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

#: What the name of a branch must not contain (git-check-ref-format).
_BAD_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")

#: One part of a path: a host, a user, a repository.
PART = r"[A-Za-z0-9_~][A-Za-z0-9_.~+-]*"

#: File names have 255 bytes at most; ".git" and a lock's ending follow.
_LONGEST_PART = 200

#: The longest text that is read as the location of a repository, in characters: no path is longer (PATH_MAX).
_LONGEST = 4096

_SHORT = re.compile(rf"{PART}(?::\d+)?(?:/{PART}){{2,}}")
_SCP = re.compile(rf"(?P<user>\w[\w.-]*)@(?P<host>{PART}):(?P<path>[^:].*)")
_URL = re.compile(r"(?P<scheme>https?|ssh|git|file)://(?:(?P<user>[^@/]*)@)?(?P<host>[^/@]*)(?P<path>/.*)")


#: The schemes whose user name and password git sends in HTTP headers.
_HTTP = ("http", "https")


@dataclass(frozen=True)
class Login:
    """The user name and the password that the URL of a repository has, decoded; None: git asks a credential helper."""

    user: str
    password: str | None


@dataclass(frozen=True)
class GitLocation:
    """A repository at ``url``, which has no secret: the user name and password of an http(s) URL are in ``login``.

    Its copy is stored under ``mirror`` (``HOST/USER/REPO``).  ``branch`` is None for the default branch.  ``folder`` is
    the folder to build, "" for the top of the repository.
    """

    url: str
    mirror: str
    branch: str | None
    folder: str
    login: Login | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The repository in messages: its URL without a user name."""
        return re.sub(r"//[^@/]*@", "//", self.url)

    @property
    def protocol(self) -> str:
        """The protocol of the URL, as git names it: https, ssh, file and so on."""
        found = _URL.fullmatch(self.url)
        return found["scheme"] if found else "ssh"

    @property
    def host_url(self) -> str:
        """The URL of the host, without the path of the repository."""
        return re.match(r"(?:\w+://)?[^/]*", self.url)[0]  # type: ignore[index]  # it always matches


def parse_git(text: str, protocol: str) -> GitLocation:
    """Read ``HOST/USER/REPO`` (by ``protocol``, https or ssh) or the URL of a repository.

    ``#BRANCH:FOLDER`` can follow, as in ``docker build``. Raises ValueError, without what may be a password.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"a text of {len(text)} characters is not a git repository: at most {_LONGEST} are read")
    location, _, fragment = text.partition("#")
    branch, _, folder = fragment.partition(":")
    login = None
    if _SHORT.fullmatch(location):
        url = f"https://{location}" if protocol == "https" else f"ssh://git@{location}"
        mirror = location
    elif (found := _URL.fullmatch(location)) and (found["host"] or found["scheme"] == "file"):
        mirror = f"{found['host'] or 'localhost'}/{found['path'].lstrip('/')}"
        login, url = _split_login(found)
    elif found := _SCP.fullmatch(location):
        url = location
        mirror = f"{found['host']}/{found['path'].lstrip('/')}"
    else:
        raise ValueError(f"{_without_login(text)!r} is not a git repository: write HOST/USER/REPO, or its URL")
    mirror = mirror.replace(":", "/").removesuffix("/").removesuffix(".git")
    parts = [part for part in mirror.split("/") if part]
    if not parts or not all(re.fullmatch(PART, part) and len(part) <= _LONGEST_PART for part in parts):
        raise ValueError(
            f"{_without_login(text)!r} is not a git repository: its path has characters that names cannot have, or a part "
            f"of more than {_LONGEST_PART} characters"
        )
    return GitLocation(url, "/".join(parts), check_branch(branch) if branch else None, check_folder(folder), login)


def _split_login(found: re.Match[str]) -> tuple[Login | None, str]:
    """Return the login of a URL, and the URL without it; the user name of an ssh URL stays, because it is no secret."""
    scheme, userinfo = found["scheme"], found["user"]
    user, colon, password = (userinfo or "").partition(":")
    if scheme in _HTTP:
        login = Login(unquote(user), unquote(password) if colon else None) if userinfo else None
        if login is not None and re.search(r"[\0\r\n]", f"{login.user}{login.password}"):
            # git refuses them too: they would be further lines of what it asks a credential helper.
            raise ValueError(
                f"the user name or password in the URL of {found['host']} has a character that it cannot have"
            )
        return login, f"{scheme}://{found['host']}{found['path']}"
    if colon:
        raise ValueError(
            f"the URL of {found['host']} has a password, which {scheme} does not use: remove it, or use https"
        )
    return None, found[0]


def _without_login(text: str) -> str:
    location, *fragments = text.split("#")
    shown = [f"***@{location.rpartition('@')[2]}" if "@" in location else location]
    for fragment in fragments:
        before, slashes, after = fragment.partition("//")
        shown.append(f"{before}{slashes}***@{after.rpartition('@')[2]}" if "@" in after else fragment)
    return "#".join(shown)


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
