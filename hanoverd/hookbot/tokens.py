"""hookbot's tokens: an HMAC of a path with the server's key."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator

from hanoverd.spec.hookbot import HookbotURL


def make_token(key: str, path: str) -> str:
    """Return the token for a path; if the path ends with a slash, it is valid for all paths below."""
    return hmac.new(key.encode(), path.encode("utf-8", "surrogateescape"), hashlib.sha1).hexdigest()


def is_valid_token(key: str, path: str, token: str) -> bool:
    """Return whether ``token`` is valid for ``path``: made for it, for a folder above it, or for either without ``/pub`` or
    ``/sub``.
    """
    is_valid = False
    for folder in _and_folders(path):
        for accepted in (folder, re.sub(r"^/(?:pub|sub)(?=/)", "", folder)):
            # Compare all of them, each in constant time: the time must not tell which one matched.
            is_valid |= hmac.compare_digest(
                make_token(key, accepted).encode(), token.encode("utf-8", "surrogateescape")
            )
    return is_valid


def url_with_token(text: str, key: str, base: str) -> tuple[str, str]:
    """Return the token for a URL or a path, and the URL with the token; ``base`` is the URL for a path.

    Raises ValueError for an invalid URL.
    """
    url = HookbotURL.parse(text if "://" in text else base.rstrip("/") + "/" + text.lstrip("/"))
    token = make_token(key, url.path)
    scheme = (text if "://" in text else base).partition("://")[0]
    fragment = f"#{url.fragment}" if url.fragment else ""
    return token, f"{scheme}://{token}@{str(url).partition('://')[2]}{fragment}"


def _and_folders(path: str) -> Iterator[str]:
    """Yield the path, and all folders above it."""
    yield path
    for slash in re.finditer("/", path):
        yield path[: slash.end()]
