"""The names of apps and of their versions."""

from __future__ import annotations

import re

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")

#: The name of a version is also the hostname of its container, which can have 63 characters (RFC 1123, 2.1); the number
#: of the version needs some of them.
_LONGEST_HOSTNAME = 63
_HIGHEST_NUMBER = 9_999_999
LONGEST_APP_NAME = _LONGEST_HOSTNAME - len(f"-{_HIGHEST_NUMBER}")

#: The highest number of a version, as far as the labels of containers are concerned.
MOST_NUMBER = 2**63 - 1

_FALLBACK = "app"

#: As the engine makes it (``GenerateID`` in moby's stringid), and as a file that has it may end.
_CONTAINER_ID = re.compile("[0-9a-f]{64}\n?")


def check_app_name(text: str) -> str:
    """Return the name of the app in ``text``; ValueError, in the engine's words, if containers cannot have it.

    The engine ignores a slash at the start of a container's name, and so does this.
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


def is_version_of(app: str, container: str) -> bool:
    """Whether a container has the name of a version of ``app``."""
    base, dash, number = container.removesuffix(_KEPT).rpartition("-")
    return bool(dash) and base == app and number.isascii() and number.isdigit()


def is_container_id(text: str) -> bool:
    """Whether a text is the ID of a container, as a file has it: a line may end after it."""
    return _CONTAINER_ID.fullmatch(text) is not None


def app_name_from(text: str) -> str:
    """Return a valid name for an app, made from the last part of a folder's path or of a repository's name."""
    last = text.rstrip("/").rpartition("/")[2]
    valid = re.sub(r"[^a-z0-9_.-]+", "-", last.lower()).lstrip("_.-")
    # Cut first: that can leave a "-" at the end.
    return valid[:LONGEST_APP_NAME].rstrip("_.-") or _FALLBACK


_KEPT = "-kept"


def kept_name(name: str) -> str:
    """Return the name of the container of a version that is kept for a rollback; running versions never have it."""
    return f"{name}{_KEPT}"


def is_kept(name: str) -> bool:
    """Return whether ``kept_name`` made this name."""
    return name.endswith(_KEPT)


def version_name(app: str, number: int) -> str:
    """Return the name of version ``number`` of ``app``, which is also its container's hostname: ``app-0``."""
    return f"{app}-{number}"
