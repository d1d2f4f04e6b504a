"""What the other programs in the box are asked to do: the builder, the hookbot server, the commands for a running daemon."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanoverd.spec.app import AppSpec
from hanoverd.spec.hookbot import HookbotSpec, HookbotURL
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.log import TEXT
from hanoverd.spec.source import SourceSpec
from hanoverd.text.moments import Moment


@dataclass(frozen=True)
class BuilderSpec:
    """A builder: what it builds and when, the name under which it pushes the image, and where it publishes that.

    The image must be obtained within ``obtain_timeout`` seconds.
    """

    source: SourceSpec
    hookbot: HookbotSpec
    image: ImageName
    notify: HookbotURL
    obtain_timeout: float
    once: bool = False
    log_format: str = TEXT


@dataclass(frozen=True)
class HookbotServerSpec:
    """A hookbot server.  An empty ``host`` means all addresses; ``tls`` are the files of the certificate and its key.

    ``per_address`` is how many connections one address may have; None: any number.
    """

    host: str
    port: int
    tls: tuple[str, str] | None = None
    per_address: int | None = None
    key: str = field(default="", repr=False)
    github_secret: str | None = field(default=None, repr=False)
    log_format: str = TEXT


@dataclass(frozen=True)
class DiffSpec:
    """A comparison of the live version with what a start of ``app`` would make of it."""

    app: AppSpec
    json: bool = False


@dataclass(frozen=True)
class RemoteCommand:
    """A command for a running daemon; each ``verb`` uses some of the other fields."""

    verb: str
    app: str = ""
    json: bool = False
    trunc: bool = True
    quiet: bool = False
    watch: bool = False
    wait: bool = False
    follow: bool = False
    tail: int | None = None
    #: Of a log: "app", "daemon", or "" for both; of a log and a history: from when on; of a history: how many handovers.
    source: str = ""
    since: Moment | None = None
    limit: int = 0
    timestamps: bool = False
    #: Of events: the ID of the last one that is known, and whether what versions print is shown, too.
    since_id: str | None = None
    output: bool = False
    image: str | None = None
    #: Of a handover: whether it is skipped if it would change nothing, and how many seconds its version has until it must be
    #: ready.
    if_changed: bool = False
    status_timeout: float | None = None
    version: int | None = None
