"""Where an archive is, as the user writes it: ``PATH``, ``https://…`` or ``s3://BUCKET/KEY``; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import SplitResult, urlsplit

_DIGEST = re.compile(r"(?P<location>.+)@sha256:(?P<digest>[0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True)
class ArchiveLocation:
    """The location of an archive: an absolute path, or a URL, which may have a password and a signature.

    ``scheme`` is empty for a path. ``shown`` is the location for messages, without secrets. ``digest`` is the SHA-256 that
    the archive must have, in hexadecimal digits, or None.
    """

    text: str = field(repr=False)
    shown: str
    scheme: str = ""
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, folder: PurePath) -> ArchiveLocation:
        """Read ``LOCATION[@sha256:DIGEST]``, a path relative to ``folder``; ValueError, without secrets, if it is invalid."""
        found = _DIGEST.fullmatch(text)
        location, digest = (found["location"], found["digest"]) if found else (text, None)
        try:
            url = urlsplit(location)
            is_valid = _is_valid(url)
        except ValueError:
            # Its text has the password.
            raise ValueError(_ADVICE) from None
        if not url.scheme:
            path = str(folder / location)
            return cls(path, path, "", digest)
        if not is_valid:
            raise ValueError(_ADVICE)
        # Without the query, which has the secret of a signed URL.
        shown = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        return cls(location, shown, url.scheme, digest)

    @property
    def file_name(self) -> str:
        """The path, without the query."""
        return urlsplit(self.text).path if self.scheme in ("http", "https") else self.text


_ADVICE = (
    "docker-archive: this location is not supported: use a PATH, https://… or s3://BUCKET/KEY; in a URL, write special "
    "characters, also in a password, in percent-encoding (%2F for a slash)"
)


def _is_valid(url: SplitResult) -> bool:
    """Return whether a URL can be used; ValueError if its port is not a number."""
    if not url.scheme:
        return True
    if url.scheme == "s3":
        # A user name and a password would be a part of the bucket's name in messages.
        return bool(url.netloc and "@" not in url.netloc and url.path.strip("/"))
    is_printable = re.fullmatch(r"[!-~]+", url.geturl()) is not None
    return (
        url.scheme in ("https", "http")
        and bool(url.hostname and url.path.strip("/"))
        and is_printable
        and url.port != 0
    )
