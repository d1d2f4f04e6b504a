"""hookbot's URLs, and the topics that an app or a builder can subscribe to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from hanoverd.spec.git_location import check_branch
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.source_name import FOLDER, GIT, IMAGE, SourceName
from hanoverd.text.addresses import bracketed
from hanoverd.text.quoting import quoted

#: The topics that can be subscribed to, for messages.
KNOWN_TOPICS = (
    "/sub/HOST/repo/USER/REPO/branch/BRANCH[#FOLDER]",
    "/sub/docker-pull/REPOSITORY/tag/TAG",
    "/sub/hanoverd/cwd",
)

_PORTS = {"ws": 80, "wss": 443}
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}

_GIT = re.compile(r"(?P<host>[^/]+)/repo/(?P<user>[^/]+)/(?P<repo>[^/]+)/branch(?:/(?P<branch>[^/]+))?")
_PULL = re.compile(r"docker-pull/(?P<repository>.+)/tag/(?P<tag>[^/]+)")
_CWD = "hanoverd/cwd"


@dataclass(frozen=True)
class HookbotURL:
    """The URL to subscribe or publish at. ``str()`` omits the token, which is a secret.

    ``path`` is decoded; tokens are made from the decoded path.
    """

    scheme: str
    host: str
    port: int
    path: str
    fragment: str = ""
    token: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> HookbotURL:
        """Parse ``wss://TOKEN@HOST[:PORT]/sub/TOPIC[#FOLDER]``; ws, http and https are valid, too.

        Raises ValueError, without the text, which may contain a token.
        """
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError as error:
            raise ValueError(f"the hookbot URL is invalid: {error}") from None
        if url.scheme not in _SCHEMES or not url.hostname:
            raise ValueError("the hookbot URL must look like wss://TOKEN@HOST/sub/TOPIC (or ws, https, http)")
        if url.query:
            raise ValueError("the hookbot URL has a query (?…), which is not supported")
        scheme = _SCHEMES[url.scheme]
        return cls(
            scheme,
            url.hostname,
            port or _PORTS[scheme],
            decoded_path(url.path.encode("utf-8", "surrogateescape")),
            unquote(url.fragment),
            unquote(url.username or ""),
        )

    @property
    def is_secure(self) -> bool:
        """Whether the connection uses TLS."""
        return self.scheme == "wss"

    @property
    def is_unsafe(self) -> bool:
        """Whether everybody may publish to the topic."""
        return self.path.startswith("/unsafe/")

    @property
    def is_recursive(self) -> bool:
        """Whether a subscription includes all topics below it; each message then starts with its topic."""
        return self.path.endswith("/")

    @property
    def topic(self) -> str | None:
        """The topic, after ``/sub/``; None if the path is not a subscription."""
        found = re.fullmatch(r"(?:/unsafe)?/sub/(.+)", self.path, re.DOTALL)
        return found[1] if found else None

    @property
    def quoted_path(self) -> str:
        """The path, percent-encoded for a request."""
        # ";" too: some URL parsers end the path there, for example autobahn's.
        return quote(self.path, safe="/:@!$&'()*+,=~-._", errors="surrogateescape")

    def http(self) -> str:
        """Return the URL for an HTTP request, without the token."""
        return f"{'https' if self.is_secure else 'http'}://{self._authority}{self.quoted_path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self._authority}{self.quoted_path}"

    @property
    def _authority(self) -> str:
        host = bracketed(self.host)
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def decoded_path(raw: bytes) -> str:
    """Return the path of a request or URL without percent-encoding: tokens and topics are made from that.

    Bytes that are not UTF-8 become surrogates.
    """
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Subscription:
    """A URL whose messages say that ``source`` has a new version; for git, with its repository and branch."""

    url: HookbotURL
    source: SourceName
    repository: str | None = None
    branch: str | None = None

    @classmethod
    def of(cls, url: HookbotURL) -> Subscription:
        """Return the subscription for ``url``; raises ValueError, with the list of known topics, for an unknown topic."""
        topic = (url.topic or "").rstrip("/")
        # Any first word may be the name of a git host, so the other topics come first.
        if topic == _CWD:
            return cls(url, SourceName(FOLDER, "."))
        if found := _PULL.fullmatch(topic):
            name = ImageName.parse(f"{found['repository']}:{found['tag']}")
            return cls(url, SourceName(IMAGE, name.reference))
        if (found := _GIT.fullmatch(topic)) and (found["branch"] or url.is_recursive):
            branch = check_branch(found["branch"]) if found["branch"] else None
            repository = f"{found['user']}/{found['repo']}"
            text = f"{found['host']}/{repository}#{branch or ''}:{url.fragment}"
            return cls(url, SourceName(GIT, text), repository, branch)
        raise ValueError(f"{quoted(url.path)} is not a topic that hanoverd supports: use {', '.join(KNOWN_TOPICS)}")

    @property
    def is_of_all_branches(self) -> bool:
        """Whether pushes to all branches of the repository trigger."""
        return self.repository is not None and self.branch is None


@dataclass(frozen=True)
class HookbotSpec:
    """The subscription to follow; ``ca_file`` has the certificates to trust, None for those of the system."""

    subscription: Subscription
    ca_file: str | None = None


def image_of_notify(url: HookbotURL) -> ImageName:
    """Return the image of the URL ``/pub/docker-pull/REPOSITORY/tag/TAG``; raises ValueError for another path."""
    found = re.fullmatch(rf"/pub/{_PULL.pattern}", url.path)
    if found is None:
        raise ValueError(f"{quoted(url.path)} should be /pub/docker-pull/REPOSITORY/tag/TAG")
    return ImageName.parse(f"{found['repository']}:{found['tag']}")
