"""Names of images, as Docker's command line reads them (the grammar of distribution's references)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_DEFAULT_DOMAIN = "docker.io"
_LEGACY_DOMAIN = "index.docker.io"
_DEFAULT_TAG = "latest"
_BUILT = "hanoverd/"
_LONGEST_PATH = 255

#: The longest text that is read, in characters: more than a name with a tag and a digest can have.
_LONGEST = 1024

#: How many digits of a digest distinguish apps whose names would make the same repository.
_DIGEST = 16
_LONGEST_TAG = 128

_HOST_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<host>{_HOST})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

#: The digests that the engine knows, with their length in hexadecimal digits.
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class ImageName:
    """The name of an image: a repository, as the user writes it, with a tag or a digest.

    The full ID of an image is a name, too: its repository is empty, and its digest is the ID.
    """

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageName:
        """Read ``[HOST[:PORT]/]PATH[:TAG][@DIGEST]``; ValueError in docker's words."""
        if len(text) > _LONGEST:
            raise ValueError(
                f"invalid reference format: it has {len(text)} characters, and at most {_LONGEST} are read"
            )
        by_id = _IMAGE_ID.fullmatch(text)
        if by_id:
            return cls("", None, f"sha256:{by_id[1]}")
        domain, remainder = _split_domain(text)
        path = remainder.partition(":")[0]
        if path.lower() != path:
            raise ValueError(f"invalid reference format: repository name ({path}) must be lowercase")
        found = _REFERENCE.fullmatch(f"{domain}/{remainder}")
        if found is None:
            raise ValueError("invalid reference format")
        if len(found["path"]) > _LONGEST_PATH:
            raise ValueError(f"repository name must not be more than {_LONGEST_PATH} characters")
        tag, digest = found["tag"], found["digest"]
        if digest is not None:
            _check_digest(digest)
        written = text.removesuffix(f"@{digest}").removesuffix(f":{tag}" if tag else "")
        return cls(written, tag, digest)

    @property
    def registry(self) -> str:
        """The host of its registry; ``docker.io`` for Docker Hub."""
        return _split_domain(self.repository)[0]

    @property
    def tag_or_digest(self) -> str:
        """The digest, else the tag, else ``latest``."""
        return self.digest or self.tag or _DEFAULT_TAG

    @property
    def reference(self) -> str:
        """The whole name, for the engine."""
        if not self.repository:
            return self.tag_or_digest
        return f"{self.repository}{'@' if self.digest else ':'}{self.tag_or_digest}"


def built_name(app: str, tag: str | None = None) -> ImageName:
    """Return the name of images that hanoverd builds for ``app``; different apps have different names."""
    path = app
    if not re.fullmatch(_COMPONENT, app):
        # The names of apps can have more characters than those of repositories.  The digest is a part of the path of
        # its own, so that no other app can have this name: names of apps have no slash.
        tidied = re.sub(r"[^a-z0-9]+", "-", app.lower()).strip("-")
        path = f"{tidied}/{hashlib.sha256(app.encode()).hexdigest()[:_DIGEST]}"
    return ImageName(f"{_BUILT}{path}", tag)


def is_newest_build(name: ImageName) -> bool:
    """Return whether this is the name of hanoverd's newest build of an app, which moves to the next build."""
    return name.repository.startswith(_BUILT) and name.tag in (None, _DEFAULT_TAG)


def tag_from(text: str) -> str:
    """Return a valid tag that is made from ``text``."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).lstrip(".-")[:_LONGEST_TAG] or _DEFAULT_TAG


def _split_domain(text: str) -> tuple[str, str]:
    """Return the registry and the rest: a first part that is not valid in a repository is a registry."""
    first, slash, rest = text.partition("/")
    if slash and (set(first) & set(".:") or first == "localhost" or first.lower() != first):
        domain, remainder = first, rest
    else:
        domain, remainder = _DEFAULT_DOMAIN, text
    if domain == _LEGACY_DOMAIN:
        domain = _DEFAULT_DOMAIN
    if domain == _DEFAULT_DOMAIN and "/" not in remainder:
        remainder = f"library/{remainder}"
    return domain, remainder


def _check_digest(digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    if algorithm not in _DIGEST_LENGTHS:
        raise ValueError("unsupported digest algorithm")
    if len(value) != _DIGEST_LENGTHS[algorithm]:
        raise ValueError("invalid checksum digest length")
    if value.lower() != value:
        raise ValueError("invalid checksum digest format")
