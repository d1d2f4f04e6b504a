"""What hanoverd may do with git repositories: protocol, submodules, limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hanoverd.spec.git_location import PART

#: Instead of repositories: the folders of submodules stay empty.
NONE = "none"

_ALLOWED = re.compile(rf"{PART}(?::\d+)?(?:/{PART})*(?:/\*|/{PART})")


@dataclass(frozen=True)
class GitOptions:
    """The options of git sources.

    ``submodules`` are the repositories that submodules may come from, as ``HOST/USER/REPO`` or ``HOST/USER/*``, or
    ``none``. ``max_size`` limits the copy of a repository, and the files of a commit, in bytes.
    """

    protocol: str = "https"
    submodules: tuple[str, ...] = ()
    max_size: int = 10 * 1024**3


def parse_submodules(text: str) -> str:
    """Return the repositories that ``text`` allows for submodules: ``none``, ``HOST/USER/REPO`` or ``HOST/USER/*``; ValueError."""
    if text != NONE and not _ALLOWED.fullmatch(text):
        raise ValueError(f"it must be HOST/USER/REPO, HOST/USER/* for all repositories of a user, or {NONE}")
    return text


def is_allowed(mirror: str, allowed: Sequence[str]) -> bool:
    """Return whether submodules may come from the repository ``mirror`` (as ``GitLocation.mirror``)."""
    for entry in allowed:
        pattern = entry.replace(":", "/")
        if mirror == pattern or (pattern.endswith("/*") and mirror.startswith(pattern[:-1])):
            return True
    return False
