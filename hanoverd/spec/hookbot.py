"""The protocol of hookbot without its network: URLs, tokens, topics and messages.

A message that is POSTed to ``/pub/TOPIC`` is sent to all websockets that are connected to ``/sub/TOPIC``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from hanoverd.spec.git_location import check_branch, check_commit
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.source_name import FOLDER, GIT, IMAGE, SourceName
from hanoverd.text.quoting import quoted

#: The header that a subscriber of an unsafe topic has to send: everybody can publish there.
UNSAFE_HEADER = "X-Hookbot-Unsafe-Is-Ok"
UNSAFE_CONSENT = "I understand the security implications"

#: The largest message that subscribers accept, in bytes.
MOST_BYTES = 1024 * 1024

#: The body of the message that an image was pushed.
UPDATE = b"UPDATE\n"

#: The topics that hanoverd knows, for error messages.
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
    """A URL to subscribe or publish at.  Its text is without the token, which permits that.

    ``path`` is decoded, because tokens are made from the decoded path.
    """

    scheme: str
    host: str
    port: int
    path: str
    fragment: str = ""
    token: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> HookbotURL:
        """Read ``wss://TOKEN@HOST[:PORT]/sub/TOPIC[#FOLDER]``, or the same with ws, http or https; ValueError.

        The error does not repeat the text, which can have a token.
        """
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError as error:
            raise ValueError(f"the hookbot URL is invalid: {error}") from None
        if url.scheme not in _SCHEMES or not url.hostname:
            raise ValueError("the hookbot URL must look like wss://TOKEN@HOST/sub/TOPIC (or ws, https, http)")
        if url.query:
            raise ValueError("the hookbot URL has a query (?…), which topics do not have")
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
        """Whether everybody can publish there."""
        return self.path.startswith("/unsafe/")

    @property
    def is_recursive(self) -> bool:
        """Whether a subscription includes all topics below; messages then start with their own topic."""
        return self.path.endswith("/")

    @property
    def topic(self) -> str | None:
        """What follows ``/sub/``; None if the path is not one to subscribe to."""
        found = re.fullmatch(r"(?:/unsafe)?/sub/(.+)", self.path, re.DOTALL)
        return found[1] if found else None

    @property
    def quoted_path(self) -> str:
        """The path as it is sent in a request."""
        # Not ";": some parsers of URLs end the path there, and so does our library for websockets.
        return quote(self.path, safe="/:@!$&'()*+,=~-._", errors="surrogateescape")

    def http(self) -> str:
        """Return the URL, without its token, for an ordinary HTTP request."""
        return f"{'https' if self.is_secure else 'http'}://{self._authority}{self.quoted_path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self._authority}{self.quoted_path}"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def decoded_path(raw: bytes) -> str:
    """Return the path of a request or URL without percent-encoding: tokens and topics are made from that.

    Bytes that are not UTF-8 become surrogates.
    """
    return unquote(raw.decode("utf-8", "surrogateescape"), errors="surrogateescape")


@dataclass(frozen=True)
class Subscription:
    """What the messages of a URL announce: a new state of ``source``, for git with the repository and the branch."""

    url: HookbotURL
    source: SourceName
    repository: str | None = None
    branch: str | None = None

    @classmethod
    def of(cls, url: HookbotURL) -> Subscription:
        """Return the subscription of ``url``; ValueError, with the topics that hanoverd knows, for another topic."""
        topic = (url.topic or "").rstrip("/")
        # A git host can have any name, so the others come first.
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
        raise ValueError(f"{quoted(url.path)} is not a topic that hanoverd knows; it knows {', '.join(KNOWN_TOPICS)}")

    @property
    def is_of_all_branches(self) -> bool:
        """Whether pushes to all branches of the repository count."""
        return self.repository is not None and self.branch is None

    def read(self, message: bytes) -> tuple[str | None, str]:
        """Return the revision that a message names, None for the newest, and the reason for a handover.

        ValueError for a message that does not belong to this topic.
        """
        body = self._body(message)
        if self.repository is not None:
            return self._read_push(body)
        if self.source.scheme == IMAGE and body.strip().upper() not in (b"", UPDATE.strip()):
            raise ValueError(f"it should be UPDATE, not {_excerpt(body)}")
        return None, f"hookbot: {self.source.text} was pushed" if self.source.scheme == IMAGE else "hookbot"

    def _body(self, message: bytes) -> bytes:
        if not self.url.is_recursive:
            return message
        topic, separator, body = message.partition(b"\0")
        if not separator:
            raise ValueError("it should start with its topic and a zero byte, because the subscription is recursive")
        wanted = ("/unsafe/" if self.url.is_unsafe else "") + (self.url.topic or "")
        if not topic.startswith(wanted.encode("utf-8", "surrogateescape")):
            raise ValueError(f"its topic {_excerpt(topic)} is not one of the subscription")
        return body

    def _read_push(self, body: bytes) -> tuple[str | None, str]:
        try:
            push = json.loads(body)
            given = {name: push[name] for name in ("Repo", "Branch", "SHA")}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(f"it should be JSON with Repo, Branch and SHA, not {_excerpt(body)}") from None
        for name, wanted in (("Repo", self.repository), ("Branch", self.branch)):
            # Hosts ignore case in the names of users and repositories.
            same = str(given[name]).lower() == str(wanted).lower() if name == "Repo" else given[name] == wanted
            if wanted is not None and not same:
                raise ValueError(f"it is for the {name.lower()} {quoted(str(given[name]))}, not {quoted(wanted)}")
        if push.get("Type", "push") != "push":
            raise ValueError(f"its type is {quoted(str(push['Type']))}, not push")
        if not str(given["SHA"]).strip("0"):
            raise ValueError("the branch was deleted")
        commit = check_commit(str(given["SHA"]))
        who = re.sub(r"[^\w .@<>-]", "?", str(push.get("Who", "")))[:100]
        return commit, f"{who or 'unknown user'} pushed {commit[:12]}"


@dataclass(frozen=True)
class HookbotSpec:
    """The subscription to follow; ``ca_file`` has the certificates to trust, None for those of the system."""

    subscription: Subscription
    ca_file: str | None = None


def image_of_notify(url: HookbotURL) -> ImageName:
    """Return the image of the topic ``/pub/docker-pull/REPOSITORY/tag/TAG``; ValueError for another path."""
    found = re.fullmatch(rf"/pub/{_PULL.pattern}", url.path)
    if found is None:
        raise ValueError(f"{quoted(url.path)} should be /pub/docker-pull/REPOSITORY/tag/TAG")
    return ImageName.parse(f"{found['repository']}:{found['tag']}")


def token(key: str, path: str) -> str:
    """Return the token for a path; one for a path that ends in a slash is valid for all paths below it."""
    return hmac.new(key.encode(), path.encode("utf-8", "surrogateescape"), hashlib.sha1).hexdigest()


def is_token_for(key: str, path: str, given: str) -> bool:
    """Return whether ``given`` is a token for ``path``, a folder above it, or one of these without ``/pub`` or ``/sub``."""
    is_good = False
    for above in _and_above(path):
        for named in (above, re.sub(r"^/(?:pub|sub)(?=/)", "", above)):
            # All are compared, in constant time, so that the time tells nothing about the token.
            is_good |= hmac.compare_digest(token(key, named).encode(), given.encode("utf-8", "surrogateescape"))
    return is_good


def _and_above(path: str) -> Iterator[str]:
    yield path
    for slash in re.finditer("/", path):
        yield path[: slash.end()]


def with_token(text: str, key: str, base: str) -> tuple[str, str]:
    """Return the token for a URL, or for a path on the server ``base``, and the URL with the token; ValueError."""
    url = HookbotURL.parse(text if "://" in text else base.rstrip("/") + "/" + text.lstrip("/"))
    found = token(key, url.path)
    scheme = (text if "://" in text else base).partition("://")[0]
    fragment = f"#{url.fragment}" if url.fragment else ""
    return found, f"{scheme}://{found}@{str(url).partition('://')[2]}{fragment}"


@dataclass(frozen=True)
class Route:
    """A message to publish on another topic."""

    topic: str
    body: bytes


def route_github(body: bytes, secret: str) -> Route | None:
    """Return the message for a GitHub webhook that was published with ``?extra-metadata=github``.

    None for an event other than a push to a branch.  ValueError if it is damaged, or not from GitHub.
    """
    try:
        wrapped = json.loads(body)
        payload = base64.b64decode(wrapped["Payload"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is not a webhook: {error}") from None
    _check_signature(wrapped, payload, secret)
    try:
        event = json.loads(payload)
        repository, ref, after = event["repository"]["full_name"], event["ref"], event["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        event = {}
    if wrapped.get("Event") != "push" or not event or not str(ref).startswith("refs/heads/"):
        return None
    branch = str(ref).removeprefix("refs/heads/")
    pusher = event.get("pusher")
    who = str((pusher.get("name") if isinstance(pusher, dict) else None) or "<unknown>")
    push = {"Branch": branch, "Repo": str(repository), "SHA": str(after), "Type": "push", "Who": who}
    return Route(f"github.com/repo/{repository}/branch/{branch}", json.dumps(push, separators=(",", ":")).encode())


def _check_signature(wrapped: Mapping[str, object], payload: bytes, secret: str) -> None:
    """Check the stronger one of GitHub's signatures (its documentation, "Validating webhook deliveries"); ValueError."""
    for name, prefix, algorithm in (("Signature256", "sha256=", hashlib.sha256), ("Signature", "sha1=", hashlib.sha1)):
        given = str(wrapped.get(name) or "")
        if given:
            expected = prefix + hmac.new(secret.encode(), payload, algorithm).hexdigest()
            if not hmac.compare_digest(expected.encode(), given.encode()):
                raise ValueError("its signature was not made with HOOKBOT_GITHUB_SECRET")
            return
    raise ValueError("it has no signature: set the value of HOOKBOT_GITHUB_SECRET as the secret of the webhook")


def _excerpt(body: bytes) -> str:
    text = body[:60].decode(errors="replace")
    return quoted(text) + ("…" if len(body) > len(body[:60]) else "")
