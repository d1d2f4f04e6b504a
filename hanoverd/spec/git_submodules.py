"""The submodules of a commit: which file says where they are, and what their URLs mean.  Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from hanoverd.spec.git_location import GitLocation, parse_git

#: Protocols that a submodule may have, besides that of the repository itself.
_PROTOCOLS = ("https", "ssh")


def parse_gitmodules(listing: str) -> dict[str, str]:
    """Return the URLs of submodules by their paths, from the output of ``git config --null --list`` for ``.gitmodules``."""
    modules: dict[str, dict[str, str]] = {}
    for entry in listing.split("\0"):
        key, _, value = entry.partition("\n")
        if found := re.fullmatch(r"submodule\.(.+)\.(path|url)", key, re.DOTALL):
            modules.setdefault(found[1], {})[found[2]] = value
    return {module["path"]: module["url"] for module in modules.values() if "path" in module and "url" in module}


def submodule_location(parent: GitLocation, url: str) -> GitLocation:
    """Return the repository of a submodule with ``url`` in the repository ``parent``; raises ValueError.

    A relative URL counts from that of ``parent`` (gitmodules(5)). The login of ``parent`` counts for its host only.
    """
    absolute = _resolved(parent.url, url)
    if "#" in absolute or not re.match(r"\w+://|[\w.-]+@", absolute):
        raise ValueError("its URL must begin with https:// or ssh://")
    location = parse_git(absolute, "https")
    if location.protocol not in (*_PROTOCOLS, parent.protocol):
        raise ValueError(f"its URL must begin with https:// or ssh://, not {location.protocol}://")
    if location.login is None and location.host_url == parent.host_url:
        return replace(location, login=parent.login)
    return location


def _resolved(base: str, url: str) -> str:
    """Resolve a relative URL as git does (git-submodule(1)); each ``../`` removes the last part of ``base``."""
    if not url.startswith(("./", "../")):
        return url
    root, separator = base.rstrip("/"), "/"
    *steps, last = url.split("/")
    taken = 0
    while taken < len(steps) and steps[taken] in (".", ".."):
        if steps[taken] == "..":
            # git@host:path has a colon before the first part of the path.
            separator = "/" if "/" in root else ":"
            root = root.rpartition(separator)[0]
        taken += 1
    return f"{root}{separator}{'/'.join([*steps[taken:], last])}"
