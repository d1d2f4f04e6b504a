"""The names of sources: what can be written instead of IMAGE."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hanoverd.spec.image_name import ImageName
from hanoverd.spec.names import app_name_from

FOLDER, IMAGE, GIT = "folder", "image", "git"

#: Instead of IMAGE: build the current folder.
BUILD = "@"

_SCHEME = re.compile(r"([a-z][a-z0-9+-]*):(.+)", re.DOTALL)

#: A URL that can only be that of a repository.
_GIT_URL = re.compile(r"(?:https?|ssh|git)://.+|[\w.-]+@(?!sha\d+:)[\w.-]+:.+")

#: Hosts of repositories that are not registries.
_GIT_HOST = re.compile(r"(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)/.+/.+")

_ENDINGS = re.compile(r"(?:\.git|\.tar|\.tgz|\.tar\.(?:gz|zst|zstd|xz|bz2))$")


@dataclass(frozen=True)
class SourceName:
    """A kind of source, by its scheme, and which one of that kind: the text can hold a password."""

    scheme: str
    text: str

    def __repr__(self) -> str:
        """Without passwords and the queries of URLs."""
        shown = re.sub(r"//[^/@]*@", "//***@", re.sub(r"\?[^#]*", "?***", self.text))
        return f"SourceName(scheme={self.scheme!r}, text={shown!r})"

    @property
    def default_app(self) -> str:
        """The name of an app with this source, unless it is a folder: then it is the name of the folder."""
        if self.scheme == IMAGE:
            return app_name_from(ImageName.parse(self.text).repository)
        # Without a user name and password, which are not for names.
        location = re.sub(r"^[^/@]*@", "", self.text.partition("://")[2] or self.text)
        path = re.split(r"[#?@]", location)[0]
        return app_name_from(_ENDINGS.sub("", path.rstrip("/")).replace(":", "/"))


def parse_source(text: str, schemes: Callable[[], Collection[str]]) -> SourceName:
    """Read IMAGE, or a source that is written instead; ValueError, in docker's words, if it is neither.

    ``schemes`` returns the schemes of all sources; it is called only if the text starts with a word and a colon.
    """
    if text == BUILD:
        return SourceName(FOLDER, ".")
    if _GIT_URL.fullmatch(text) or _GIT_HOST.fullmatch(text):
        return SourceName(GIT, text)
    scheme = _SCHEME.fullmatch(text)
    if scheme and scheme[1].startswith("git+"):
        return SourceName(GIT, text.removeprefix("git+"))
    if scheme and scheme[1] not in (FOLDER, IMAGE, GIT) and scheme[1] in schemes():
        return SourceName(scheme[1], scheme[2])
    ImageName.parse(text)
    return SourceName(IMAGE, text)
