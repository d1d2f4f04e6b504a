"""The names of apps and of their versions."""

from __future__ import annotations

import re

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")

#: A version's name is its container's hostname too, which may have 63 characters (RFC 1123, 2.1); the number
#: of the version needs some of them.
_LONGEST_HOSTNAME = 63
_HIGHEST_NUMBER = 9_999_999
LONGEST_APP_NAME = _LONGEST_HOSTNAME - len(f"-{_HIGHEST_NUMBER}")

_FALLBACK = "app"


def check_app_name(text: str) -> str:
    """The app's name in ``text``; ValueError, in the engine's words, where its containers could not bear it.

    The engine drops one slash at the beginning of a container's name, so does this.
    """
    name = text.removeprefix("/")
    if not _VALID.fullmatch(name):
        raise ValueError(f"Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if len(name) > LONGEST_APP_NAME:
        raise ValueError(
            f"the name {name} is too long: at most {LONGEST_APP_NAME} characters leave room for the "
            f"version's number in a hostname, which may have {_LONGEST_HOSTNAME}"
        )
    return name


def app_name_from(text: str) -> str:
    """A valid app's name made of the last part of a folder's path or of a repository's name."""
    last = text.rstrip("/").rpartition("/")[2]
    valid = re.sub(r"[^a-z0-9_.-]+", "-", last.lower()).lstrip("_.-")
    # Cut before the end is tidied: a cut may leave a "-" there.
    return valid[:LONGEST_APP_NAME].rstrip("_.-") or _FALLBACK


_KEPT = "-kept"


def kept_name(name: str) -> str:
    """What the container of a version is called once it is kept only to be gone back to; no version is called so."""
    return f"{name}{_KEPT}"


def is_kept(name: str) -> bool:
    """Whether ``kept_name`` made it."""
    return name.endswith(_KEPT)


def version_name(app: str, number: int) -> str:
    """The name of version ``number`` of ``app``, its container's name and hostname: ``app-0``."""
    return f"{app}-{number}"
