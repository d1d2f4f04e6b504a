"""Texts of git and ssh that hanoverd's decisions depend on, each with the version that was seen to print it.

git exits with status 128 for all of these errors. Its texts are in English: hanoverd runs it with ``LC_ALL=C``.
"""

from __future__ import annotations

import re
from pathlib import Path

#: Another git holds a lock, or was killed while it held one. git 2.39.5.
_LOCKED = re.compile(r"Unable to create '(.+?\.lock)': File exists")

#: git has no user name or password for the host, or the host rejects them. git 2.39.5.
_NO_LOGIN = ("could not read Username", "Authentication failed")

#: ssh has no key that the host accepts, or does not know the host. OpenSSH 9.2.
_NO_SSH_KEY = ("Permission denied (publickey", "Host key verification failed")


def held_lock(error: str) -> Path | None:
    """Return the lock file that git could not create, if that is its error."""
    found = _LOCKED.search(error)
    return Path(found[1]) if found else None


def is_login_missing(error: str) -> bool:
    """Return whether git needs another login for the host."""
    return any(text in error for text in _NO_LOGIN)


def is_ssh_key_missing(error: str) -> bool:
    """Return whether ssh needs another key, or the key of the host."""
    return any(text in error for text in _NO_SSH_KEY)
