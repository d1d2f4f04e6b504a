"""Where images come from: one module a kind of source, each found as a Twisted plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zope.interface import Attribute, Interface

from hanoverd.spec.build import BuildOptions
from hanoverd.spec.container import Image

if TYPE_CHECKING:
    from hanoverd.docker.credentials import Credentials
    from hanoverd.docker.engine import Engine

#: Takes what a build or pull says on the way: a line, and whether it replaces the last one (a progress bar).
Progress = Callable[[str], object]


class Source(Protocol):
    """Obtains images for an app."""

    def describe(self) -> str:
        """What it will do, for the log: "build /srv/app"."""
        ...

    def check(self) -> None:
        """Look, at the start of the daemon, for what is wrong already; fails with ``HanoverdError``.  May block."""
        ...

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Obtain the image anew: of ``revision`` (a commit: what a trigger named, or ``newest`` gave), else the newest.
        A source whose revisions cannot be had by name obtains the newest in any case.

        Fails with ``ObtainFailed`` or the ``EngineError`` family.  Cancel aborts the work on the engine too.
        """
        ...

    async def newest(self) -> str | None:
        """The revision that ``obtain`` would get now, as the image's ``revision`` tells it, without getting it; None
        where nobody can know.  Fails, and is cancelled, as ``obtain`` does.
        """
        ...


@dataclass(frozen=True)
class SourceContext:
    """What a source may use, and what the user wants of all of them.

    ``folder`` is the current one at the start, ``state_folder`` keeps what is worth keeping between runs, ``pull`` is
    when to pull: ``always``, ``missing``, ``never``, or None where the user has not said.
    """

    reactor: Any
    engine: Engine
    credentials: Credentials
    environ: Mapping[str, str]
    app: str
    folder: Path
    state_folder: Path
    build: BuildOptions
    pull: str | None = None
    git_protocol: str = "https"


class ISourceKind(Interface):
    """A kind of source, which a package offers as a plugin of Twisted in its folder ``twisted/plugins``.

    On the command line it is used as ``SCHEME:TEXT``, in the place of IMAGE.
    """

    scheme = Attribute("The word before the colon; letters, digits, ``+`` and ``-``.")

    def source(text: str, context: SourceContext) -> Source:  # noqa: N805  # interfaces have no self
        """The source that ``text``, what stands behind the colon, names; UsageError where it names none."""
