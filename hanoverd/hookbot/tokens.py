"""hookbot's tokens: an HMAC of a path with the server's key."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from urllib.parse import quote

from hanoverd.spec.hookbot import HookbotURL

#: The length of a token: SHA-1 in hexadecimal digits.
_LENGTH = 40

#: The paths to listen at.
_SUBSCRIPTION = re.compile(r"(?:/unsafe)?/sub/")

_PREFIX = re.compile(r"^/(?:pub|sub)(?=/)")


def make_token(key: str, path: str) -> str:
    """Return the token for a path; if the path ends with a slash, it is valid for all paths below."""
    return hmac.new(key.encode(), path.encode("utf-8", "surrogateescape"), hashlib.sha1).hexdigest()


def is_valid_token(key: str, path: str, token: str) -> bool:
    """Return whether ``token`` is valid for ``path``: made for it, for a folder above it, or for either without ``/pub`` or
    ``/sub``.
    """
    given = token.encode("utf-8", "surrogateescape")
    if len(given) != _LENGTH:
        return False
    is_valid = False
    for top in {path, _PREFIX.sub("", path)}:
        for accepted in _tokens(key, top):
            # Compare all of them, each in constant time: the time must not tell which one matched.
            is_valid |= hmac.compare_digest(accepted.encode(), given)
    return is_valid


def url_with_token(text: str, key: str, base: str) -> tuple[str, str]:
    """Return the token for a URL or a path, and the URL with the token; ``base`` is the URL for a path.

    The token is made from the path alone; the query and the fragment stay. A path to listen at gets a URL of a websocket.
    Raises ValueError for an invalid URL.
    """
    is_path = "://" not in text
    whole, query = _without_query(f"{base.rstrip('/')}/{text.lstrip('/')}" if is_path else text)
    url = HookbotURL.parse(whole)
    # As the original hookbot does. No server has such a path, but a token can be made for it.
    token = make_token(key, url.path.removeprefix("/") if is_path and not text.startswith("/") else url.path)
    if not is_path:
        scheme = whole.partition("://")[0]
    elif _SUBSCRIPTION.match(text):
        scheme = url.scheme
    else:
        scheme = url.http().partition("://")[0]
    fragment = f"#{quote(url.fragment, errors='surrogateescape')}" if url.fragment else ""
    return token, f"{scheme}://{token}@{str(url).partition('://')[2]}{query}{fragment}"


def _without_query(text: str) -> tuple[str, str]:
    """Return a URL without its query, and the query with its question mark."""
    before, mark, fragment = text.partition("#")
    url, question, query = before.partition("?")
    return url + mark + fragment, question + query


def _tokens(key: str, path: str) -> Iterator[str]:
    """Yield the tokens for the path, and for all folders above it, in linear time."""
    made = hmac.new(key.encode(), digestmod=hashlib.sha1)
    for part in re.findall(rb"[^/]*/|[^/]+", path.encode("utf-8", "surrogateescape")) or [b""]:
        made.update(part)
        yield made.copy().hexdigest()
