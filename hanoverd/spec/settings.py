"""What the user wants, as values: made by ``parse``, read by the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hanoverd.spec.build import BuildOptions
from hanoverd.spec.hookbot import HookbotURL, Subscription
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import PortRequest
from hanoverd.spec.restart import RestartPolicy
from hanoverd.spec.source_name import SourceName


@dataclass(frozen=True)
class Obtaining:
    """How images are obtained, by whichever program.

    ``folder`` is absolute: the current one at the start; ``state_folder`` too.  ``pull`` None leaves it to the source.
    """

    folder: str
    state_folder: str
    source: SourceName
    build: BuildOptions
    pull: str | None
    git_protocol: str
    hookbot: Subscription | None
    hookbot_ca: str | None


@dataclass(frozen=True)
class Settings:
    """A command line of the daemon that was found to be right.

    An empty ``command`` is the image's own.  Timeouts are in seconds; a ``stop_timeout`` of -1 is for ever, and None,
    here and for the signals, leaves it to the image and the engine.
    """

    obtaining: Obtaining
    command: tuple[str, ...]
    app: str
    env: tuple[str, ...]
    publish: tuple[PortRequest, ...]
    binds: tuple[str, ...]
    anonymous_volumes: tuple[str, ...]
    mounts: tuple[Mapping[str, object], ...]
    status_uri: str
    status_timeout: float
    obtain_timeout: float
    disable_overlap: bool
    overlap_grace: float
    drain_timeout: float
    drain_signal: str | None
    stop_timeout: int | None
    stop_signal: str | None
    restart: RestartPolicy
    on_exit: str
    settle: float
    watch: float
    watch_failures: int
    hooks: tuple[tuple[str, str], ...]
    notify: tuple[str, ...] = field(repr=False)
    keep_versions: int
    log_format: str


@dataclass(frozen=True)
class BuilderSettings:
    """A command line of the builder: what to build, what to call it, where to tell of it."""

    obtaining: Obtaining
    image: ImageName
    notify: HookbotURL
    once: bool
    log_format: str


@dataclass(frozen=True)
class ServeSettings:
    """A command line of the hookbot server; ``host`` "" is every address."""

    host: str
    port: int
    tls: tuple[str, str] | None
    key: str = field(repr=False)
    github_secret: str | None = field(repr=False)
    log_format: str


@dataclass(frozen=True)
class RemoteSettings:
    """A command line for a hanoverd that runs: ``verb`` is the command's name; of the rest each verb knows its own."""

    verb: str
    app: str
    json: bool = False
    trunc: bool = True
    quiet: bool = False
    watch: bool = False
    wait: bool = False
    follow: bool = False
    tail: int | None = None
    #: Of the log: "app", "daemon", or "" for both; and of the last so many seconds.
    source: str = ""
    since: float | None = None
    timestamps: bool = False
    image: str | None = None
    generation: int | None = None


AnySettings = Settings | BuilderSettings | ServeSettings

Asked = AnySettings | RemoteSettings
