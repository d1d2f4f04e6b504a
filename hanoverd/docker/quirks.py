"""Texts of Docker's programs that hanoverd's decisions depend on, each with the program and version that was seen to print it.

A text belongs here when neither an exit status nor a field of an answer says the same.
"""

from __future__ import annotations

import re

#: The registry limits the rate of requests. The engine passes the error on as text: the registry's error code
#: (distribution specification, "Error Codes"), or the HTTP status. Docker Engine 20.10.24.
_RATE_LIMIT = re.compile(r"toomanyrequests|429 Too Many Requests", re.IGNORECASE)

#: The file system of the engine is full (ENOSPC). Docker Engine 20.10.24.
_DISK_FULL = "no space left on device"

#: Status line of a pull that is complete. Docker Engine 20.10.24.
_PULLED_DIGEST = re.compile(r"Digest: (sha\d+:[0-9a-f]+)\s*")

#: Status line of a pull that changed nothing: "Status: Image is up to date for NAME". Docker Engine 20.10.24.
_UP_TO_DATE = "Status: Image is up to date for "

#: Output of a credential helper that has no login for a registry: docker-credential-helpers, credentials/error.go.
_NO_CREDENTIALS = "credentials not found in native keychain"

#: Output of ``docker --version``. Docker's client 20.10.24 and 28.2.2.
_CLIENT_VERSION = re.compile(r"Docker version (\d+)\.(\d+)")


def is_rate_limit(error: str) -> bool:
    """Return whether an error of a pull says that the registry limits the rate of requests."""
    return _RATE_LIMIT.search(error) is not None


def is_disk_full(error: str) -> bool:
    """Return whether an error of the engine says that its disk is full."""
    return _DISK_FULL in error


def pulled_digest(line: str) -> str | None:
    """Return the digest in a line of a pull's output, if it has one: only a complete pull prints it."""
    found = _PULLED_DIGEST.fullmatch(line)
    return found[1] if found else None


def is_up_to_date(line: str) -> bool:
    """Return whether a line of a pull's output says that the engine had the image already."""
    return line.startswith(_UP_TO_DATE)


def has_no_credentials(output: str) -> bool:
    """Return whether a credential helper that failed says that it has no login."""
    return output.strip() == _NO_CREDENTIALS


def client_version(output: str) -> tuple[int, int] | None:
    """Return the version in the output of ``docker --version``; None for other output."""
    found = _CLIENT_VERSION.match(output)
    return (int(found[1]), int(found[2])) if found else None
